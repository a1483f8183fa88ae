// One panel of the committed JSON, drawn with the components that Grafana itself draws it with.
import React from "react";
import { VizOrientation, dateTime, getDisplayValueAlignmentFactors, getFieldDisplayValues } from "@grafana/data";
import { BarGauge, BigValue, PanelChrome, Table, TimeSeries, VizRepeater } from "@grafana/ui";
import { Timeline } from "./timeline.jsx";

function single(panel, data, theme) {
  return getFieldDisplayValues({
    fieldConfig: { defaults: panel.fieldConfig.defaults, overrides: [] },
    reduceOptions: { values: false, calcs: ["lastNotNull"], fields: "" },
    replaceVariables: (text) => text,
    theme,
    data,
    timeZone: "utc",
  });
}

function Repeated({ panel, data, theme, width, height, one }) {
  const values = single(panel, data, theme);
  return (
    <VizRepeater
      source={data}
      getValues={() => values}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={one}
      width={width}
      height={height}
      itemSpacing={6}
      autoGrid={panel.type === "stat"}
      orientation={panel.type === "stat" ? VizOrientation.Auto : VizOrientation.Horizontal}
      renderCounter={0}
      minVizHeight={16}
      maxVizHeight={300}
    />
  );
}

function Inner({ panel, data, theme, width, height, range }) {
  const rows = data.reduce((sum, frame) => sum + frame.length, 0);
  if (!rows && panel.type !== "stat") {
    return <div className="empty">{panel.fieldConfig.defaults.noValue ?? "No data"}</div>;
  }
  const options = panel.options ?? {};
  switch (panel.type) {
    case "stat":
      return (
        <Repeated panel={panel} data={data} theme={theme} width={width} height={height}
          one={({ value, width: wide, height: high, alignmentFactors, count }) => (
            <BigValue value={value.display} count={count} width={wide} height={high} theme={theme} alignmentFactors={alignmentFactors}
              colorMode={options.colorMode} graphMode={options.graphMode} justifyMode="auto" textMode={options.textMode} />
          )}
        />
      );
    case "bargauge":
      return (
        <Repeated panel={panel} data={data} theme={theme} width={width} height={height}
          one={({ value, width: wide, height: high, alignmentFactors, orientation }) => (
            <BarGauge value={value.display} field={value.field} display={value.view?.getFieldDisplayProcessor(value.colIndex ?? 0)}
              width={wide} height={high} theme={theme} alignmentFactors={alignmentFactors} orientation={orientation}
              displayMode={options.displayMode} valueDisplayMode={options.valueMode} showUnfilled={options.showUnfilled} text={options.text} itemSpacing={4} />
          )}
        />
      );
    case "table":
      return <Table noHeader={options.showHeader === false} data={data[0]} width={width} height={height} cellHeight={options.cellHeight} showTypeIcons={false} enableSharedCrosshair={false} />;
    case "timeseries": {
      const times = { from: dateTime(range.start * 1000), to: dateTime(range.end * 1000) };
      return (
        <TimeSeries frames={data} width={width} height={height} timeZone="utc" legend={options.legend} options={options} theme={theme}
          timeRange={{ ...times, raw: times }}>
          {() => null}
        </TimeSeries>
      );
    }
    case "state-timeline":
      return <Timeline data={data} width={width} height={height} range={range} theme={theme} />;
    default:
      throw new Error(`a panel of an unknown kind: ${panel.type}`);
  }
}

export function Panel({ panel, data, theme, width, height, range }) {
  return (
    <PanelChrome title={panel.title} description={panel.description} width={width} height={height}>
      {(wide, high) => <Inner panel={panel} data={data} theme={theme} width={wide} height={high} range={range} />}
    </PanelChrome>
  );
}
