// One dashboard as a page. The address says which, and the values of its variables:
// ?dashboard=fleet&prometheus=http://…&start=…&end=…&step=…&width=…&job=…
import React from "react";
import { createRoot } from "react-dom/client";
import { createTheme, ThemeContext } from "@grafana/data";
import { GlobalStyles, PortalContainer } from "@grafana/ui";
import { BrowserRouter } from "react-router-dom";
import { frames } from "./fields.js";
import { Panel } from "./panel.jsx";

// As in Grafana: 24 columns, rows of 30 pixels with a gap of 8.
const [COLUMNS, ROW, GAP, HEAD] = [24, 30, 8, 44];
const parameters = Object.fromEntries(new URLSearchParams(location.search));
const range = { start: Number(parameters.start), end: Number(parameters.end), step: Number(parameters.step) };
const width = Number(parameters.width);
const theme = createTheme({ colors: { mode: parameters.theme ?? "light" } });

// As Grafana does, for a scrape interval of 15 s.
function filled(expression, step) {
  const variables = {
    ...parameters,
    __range: `${range.end - range.start}s`,
    __interval: `${step}s`,
    __rate_interval: `${Math.max(step + 15, 60)}s`,
  };
  return expression.replace(/\$(?:([A-Za-z_]\w*)|\{(\w+)\})/g, (_, plain, braced) => variables[plain ?? braced]);
}

// A panel may want longer steps than the page: `interval` is "1m" or nothing.
function stepsOf(panel) {
  const fewest = panel.interval ? 60 * parseInt(panel.interval) : range.step;
  const few = panel.maxDataPoints ? (range.end - range.start) / panel.maxDataPoints : 0;
  const step = Math.max(range.step, fewest, Math.ceil(few / range.step) * range.step);
  return { ...range, step, start: range.end - Math.floor((range.end - range.start) / step) * step };
}

async function ask(target, steps) {
  const times = target.instant ? { time: range.end } : steps;
  const query = new URLSearchParams({ query: filled(target.expr, steps.step), ...times });
  const answer = await fetch(`${parameters.prometheus}/api/v1/${target.instant ? "query" : "query_range"}?${query}`);
  const { status, data, error } = await answer.json();
  if (status !== "success") throw new Error(`${target.expr}: ${error}`);
  return { target, result: data.result };
}

function place({ x, y, w, h }) {
  const column = (width - 16 + GAP) / COLUMNS;
  return { left: 8 + x * column, top: HEAD + y * (ROW + GAP), width: w * column - GAP, height: h * (ROW + GAP) - GAP };
}

async function main() {
  const dashboard = await (await fetch(`dashboards/${parameters.dashboard}.json`)).json();
  const drawn = [];
  for (const panel of dashboard.panels) {
    const where = place(panel.gridPos);
    if (panel.type === "row") {
      drawn.push(<div key={panel.id} className="place title" style={where}>{panel.title}</div>);
      continue;
    }
    const steps = stepsOf(panel);
    const answers = await Promise.all(panel.targets.map((target) => ask(target, steps)));
    const data = await frames(panel, answers, steps, theme);
    drawn.push(
      <div key={panel.id} className="place" style={where}>
        <Panel panel={panel} data={data} theme={theme} width={where.width} height={where.height} range={range} />
      </div>
    );
  }
  const values = dashboard.templating.list
    .filter((variable) => variable.name in parameters)
    .map((variable) => `${variable.label}: ${parameters[variable.name] === ".*" ? "All" : parameters[variable.name]}`);
  createRoot(document.getElementById("root")).render(
    <BrowserRouter>
      <ThemeContext.Provider value={theme}>
        <GlobalStyles />
        <div className="head">{dashboard.title}<span className="values">{values.join("   ")}</span></div>
        {drawn}
        <PortalContainer />
      </ThemeContext.Provider>
    </BrowserRouter>
  );
}

main().catch((error) => {
  console.error(`not drawn: ${error}`);
  document.body.innerText = String(error.stack ?? error);
});
