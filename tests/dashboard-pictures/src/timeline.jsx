// States over time. Grafana's packages export no state timeline, so the strips are drawn here, with
// the words and colours that Grafana's field options give; the legend is Grafana's own.
import React from "react";
import { getFieldDisplayName } from "@grafana/data";
import { VizLegend } from "@grafana/ui";

const LEGEND = 50;
const AXIS = 22;
const NAMES = 0.2;

// Spans of one state: a gap where nothing is told ends a span.
function spans(field) {
  const found = [];
  field.values.forEach((value, index) => {
    const last = found[found.length - 1];
    if (value === null) return;
    if (last && last.value === value && last.end === index) last.end = index + 1;
    else found.push({ value, start: index, end: index + 1 });
  });
  return found;
}

export function Timeline({ data, width, height, range, theme }) {
  const rows = data.map((frame) => ({ name: getFieldDisplayName(frame.fields[1], frame, data), field: frame.fields[1] }));
  const seen = new Map();
  const steps = Math.round((range.end - range.start) / range.step) + 1;
  const left = Math.min(width * NAMES, 260);
  const each = Math.min((height - LEGEND - AXIS) / rows.length, 32);
  const across = (index) => left + (index / steps) * (width - left);
  const strips = rows.map(({ name, field }, row) =>
    spans(field).map(({ value, start, end }) => {
      const { text, color } = field.display(value);
      seen.set(text, color);
      const wide = across(end) - across(start);
      return (
        <div
          key={`${name}${start}`}
          title={text}
          style={{
            position: "absolute", left: across(start), width: wide, top: row * each + 1, height: each - 2,
            background: color, opacity: 0.85, overflow: "hidden", whiteSpace: "nowrap",
            color: theme.colors.getContrastText(color), fontSize: Math.min(12, each - 3), lineHeight: `${each - 2}px`, paddingLeft: wide > 40 ? 4 : 0,
          }}
        >
          {wide > text.length * 7 ? text : ""}
        </div>
      );
    })
  );
  const marks = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const time = new Date((range.start + share * (range.end - range.start)) * 1000).toISOString().slice(11, 16);
    const place = left + share * (width - left);
    return <span key={share} style={{ position: "absolute", left: share === 1 ? place - 34 : place, top: rows.length * each + 2, fontSize: 12 }}>{time}</span>;
  });
  const items = [...seen].map(([label, color]) => ({ label, color, yAxis: 1 }));
  return (
    <div style={{ position: "relative", width, height }}>
      {rows.map(({ name }, row) => (
        <div key={row} style={{ position: "absolute", top: row * each, width: left - 8, textAlign: "right", fontSize: Math.min(12, each - 2), lineHeight: `${each}px`, overflow: "hidden", whiteSpace: "nowrap", textOverflow: "ellipsis" }}>{name}</div>
      ))}
      {strips}
      {marks}
      <div style={{ position: "absolute", top: height - LEGEND, width }}>
        <VizLegend displayMode="list" placement="bottom" items={items} />
      </div>
    </div>
  );
}
