// From Prometheus's answers to Grafana's data frames, with the options of the panel applied.
import {
  FieldConfigOptionsRegistry,
  FieldType,
  applyFieldOverrides,
  standardTransformers,
  standardTransformersRegistry,
  transformDataFrame,
} from "@grafana/data";
import { firstValueFrom } from "rxjs";

// By id, because some transformations have an older name too.
const TRANSFORMATIONS = new Map(Object.values(standardTransformers).map((one) => [one.id, one]));
standardTransformersRegistry.setInit(() =>
  [...TRANSFORMATIONS.values()].map((transformation) => ({ id: transformation.id, transformation, name: transformation.name }))
);

const STANDARD = ["unit", "min", "max", "decimals", "displayName", "color", "noValue", "links", "mappings", "thresholds"];

// Every option goes through as it stands: Grafana's own editors would only check it.
function option(path, isCustom) {
  return {
    id: isCustom ? `custom.${path}` : path,
    path,
    isCustom,
    process: (value) => value,
    shouldApply: () => true,
    settings: {},
  };
}

function registry(fieldConfig) {
  const custom = new Set(Object.keys(fieldConfig.defaults.custom ?? {}));
  for (const override of fieldConfig.overrides ?? []) {
    for (const { id } of override.properties) {
      if (id.startsWith("custom.")) custom.add(id.slice("custom.".length));
    }
  }
  return new FieldConfigOptionsRegistry(() => [
    ...STANDARD.map((path) => option(path, false)),
    ...[...custom].map((path) => option(path, true)),
  ]);
}

const CUSTOM_DEFAULTS = {
  timeseries: {
    drawStyle: "line",
    lineInterpolation: "linear",
    lineWidth: 1,
    fillOpacity: 0,
    gradientMode: "none",
    showPoints: "never",
    pointSize: 5,
    stacking: { mode: "none", group: "A" },
    axisPlacement: "auto",
    axisColorMode: "text",
    scaleDistribution: { type: "linear" },
    hideFrom: { tooltip: false, viz: false, legend: false },
    thresholdsStyle: { mode: "off" },
    spanNulls: false,
  },
  table: { align: "auto", cellOptions: { type: "auto" }, inspect: false },
};

function named(legend, metric) {
  return legend.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => metric[label] ?? "");
}

function number(text) {
  return text === "+Inf" ? Infinity : Number(text);
}

// A series of a range: times and values on the steps, with null where nothing was told.
function rangeFrame(target, series, { start, end, step }) {
  const times = [];
  for (let time = start; time <= end; time += step) times.push(time * 1000);
  const values = new Array(times.length).fill(null);
  for (const [time, value] of series.values) values[Math.round((time - start) / step)] = number(value);
  return frame(target, [
    { name: "Time", type: FieldType.time, values: times, config: { interval: step * 1000 } },
    valueField("Value", target, series.metric, values),
  ]);
}

function valueField(name, target, metric, values) {
  const legend = target.legendFormat === "__auto" ? "" : named(target.legendFormat, metric);
  return {
    name,
    type: FieldType.number,
    labels: metric,
    values,
    config: legend ? { displayNameFromDS: legend } : {},
  };
}

// All series of an instant query as rows, a column per label.
function tableFrame(target, result, several) {
  const labels = [...new Set(result.flatMap((series) => Object.keys(series.metric)))].sort();
  return frame(target, [
    { name: "Time", type: FieldType.time, values: result.map((one) => one.value[0] * 1000), config: {} },
    ...labels.map((label) => ({
      name: label,
      type: FieldType.string,
      values: result.map((one) => one.metric[label]),
      config: { filterable: true },
    })),
    {
      name: several ? `Value #${target.refId}` : "Value",
      type: FieldType.number,
      values: result.map((one) => number(one.value[1])),
      config: {},
    },
  ]);
}

function frame(target, fields) {
  return { refId: target.refId, fields, length: fields[0].values.length, meta: {} };
}

export async function frames(panel, answers, range, theme) {
  let data = answers.flatMap(({ target, result }) => {
    if (target.format === "table") {
      return result.length ? [tableFrame(target, result, panel.targets.length > 1)] : [];
    }
    return result.map((series) =>
      series.values
        ? rangeFrame(target, series, range)
        : rangeFrame(target, { metric: series.metric, values: [series.value] }, { start: series.value[0], end: series.value[0], step: 1 })
    );
  });
  if (panel.transformations?.length) {
    data = await firstValueFrom(transformDataFrame(panel.transformations, data));
  }
  const fieldConfig = {
    defaults: {
      ...panel.fieldConfig.defaults,
      custom: { ...CUSTOM_DEFAULTS[panel.type], ...panel.fieldConfig.defaults.custom },
    },
    overrides: panel.fieldConfig.overrides ?? [],
  };
  return applyFieldOverrides({
    data,
    fieldConfig,
    fieldConfigRegistry: registry(fieldConfig),
    replaceVariables: (text) => text,
    theme,
    timeZone: "utc",
  });
}
