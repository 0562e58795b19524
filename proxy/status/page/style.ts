/**
 * The page's style sheet.
 * @module
 */
export const STYLE = `
:root {
  color-scheme: light dark;
  --bg: #f4f5f7; --card: #ffffff; --line: #dfe3e8; --ink: #1b2330; --soft: #5a6675;
  --accent: #2f5fd0; --accent-soft: #2f5fd022;
  --good: #1a7f4b; --good-soft: #1a7f4b1f; --fair: #96690a; --fair-soft: #d99a1c2e;
  --bad: #c0322b; --bad-soft: #c0322b1f; --idle: #6b7685; --idle-soft: #6b76851f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --bg: #0f1318; --card: #181e26; --line: #2a323d; --ink: #e8ecf1; --soft: #98a4b3;
    --accent: #7fa6ff; --accent-soft: #7fa6ff2b;
    --good: #4cc38a; --good-soft: #4cc38a26; --fair: #e6b450; --fair-soft: #e6b45029;
    --bad: #ff7b72; --bad-soft: #ff7b7226; --idle: #8b97a6; --idle-soft: #8b97a626;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--bg); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums;
}
main { max-width: 1120px; margin: 0 auto; padding: 28px 20px 40px; }
h1, h2, h3, p, dl, dd, ul { margin: 0; padding: 0; }
h1 { font-size: 34px; line-height: 1.15; letter-spacing: -0.01em; }
h1.good { color: var(--good); }
h1.bad { color: var(--bad); }
h2 { font-size: 19px; margin: 34px 0 2px; }
h3 { font-size: 13px; font-weight: 600; color: var(--soft); }
code { font: 13px/1.5 ui-monospace, "Cascadia Code", "DejaVu Sans Mono", monospace; }
.lead code { font-size: inherit; }
a { color: var(--accent); }
.lead, .note, .what { color: var(--soft); }
.note, .what { font-size: 13px; }
.note { margin-top: 10px; }
.brand { font-weight: 700; letter-spacing: 0.02em; color: var(--accent); margin-bottom: 2px; }
.hero { display: flex; flex-wrap: wrap; gap: 18px 40px; justify-content: space-between; align-items: flex-end; }
.hero .lead { font-size: 16px; }
.hero dl { display: grid; grid-template-columns: repeat(3, auto); gap: 6px 28px; font-size: 13px; }
dt { color: var(--soft); }
.hero dd { font-weight: 600; }
.grid { display: grid; gap: 14px; margin-top: 12px; }
.cards { grid-template-columns: repeat(auto-fit, minmax(235px, 1fr)); }
.card, .paths, details, .how {
  background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 14px 16px;
}
.card.warn { border-left: 4px solid var(--bad); }
.card.mind { border-left: 4px solid var(--fair); }
.mixing { display: grid; grid-template-columns: minmax(240px, 1fr) 2fr; gap: 10px 36px; align-items: center; margin-top: 12px; }
.mixing > div > p + p { margin-top: 6px; }
.card .big { margin: 2px 0 6px; color: var(--soft); }
.big b { font-size: 28px; line-height: 1.2; color: var(--ink); letter-spacing: -0.01em; }
.card .state { margin: 8px 0 2px; font-size: 13px; }
.tag { display: inline-block; padding: 0 8px; border-radius: 9px; font-weight: 600; }
.tag.good { color: var(--good); background: var(--good-soft); }
.tag.fair { color: var(--fair); background: var(--fair-soft); }
.tag.bad { color: var(--bad); background: var(--bad-soft); }
.tag.idle { color: var(--idle); background: var(--idle-soft); }
svg { display: block; width: 100%; }
.spark { height: 46px; }
.spark polyline { fill: none; stroke: var(--accent); stroke-width: 1.75; vector-effect: non-scaling-stroke; }
.spark polygon { fill: var(--accent-soft); }
.histogram text { font-size: 8px; fill: var(--soft); }
.mark { stroke: var(--soft); stroke-dasharray: 3 4; vector-effect: non-scaling-stroke; }
.none { display: none; }
.bar { height: 8px; border-radius: 4px; }
.card .bar { margin: 19px 0; }
.track { fill: var(--idle-soft); }
.fill { fill: var(--accent); }
.tick { stroke: var(--ink); stroke-width: 2; vector-effect: non-scaling-stroke; }
.dots { max-width: 260px; }
.slot { fill: var(--idle-soft); }
.dots .own { fill: var(--accent); }
.dots .other { fill: var(--good); }
.paths { display: grid; grid-template-columns: repeat(6, minmax(0, 1fr)); gap: 26px; margin-top: 12px; }
.column { position: relative; }
.column + .column::before { content: "→"; position: absolute; left: -21px; top: 26px; color: var(--soft); }
.column h3 { display: flex; justify-content: space-between; gap: 6px; padding-right: 8px; }
.column h3 span { font-weight: 400; white-space: nowrap; }
.column ul { list-style: none; margin-top: 6px; display: grid; gap: 6px; }
.column .squares { grid-template-columns: repeat(auto-fill, 16px); gap: 4px; }
.node { border-radius: 8px; padding: 5px 8px 6px; display: grid; grid-template-columns: 1fr auto; gap: 0 6px; font-size: 13px; }
.node b { font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.node .bar { grid-column: 1 / -1; height: 4px; margin-top: 3px; }
.squares .node { width: 16px; height: 16px; padding: 0; border-radius: 4px; }
.node.good { background: var(--good-soft); } .node.good span { color: var(--good); } .node.good .fill { fill: var(--good); }
.node.fair { background: var(--fair-soft); } .node.fair span { color: var(--fair); } .node.fair .fill { fill: var(--fair); }
.node.bad { background: var(--bad-soft); } .node.bad span { color: var(--bad); } .node.bad .fill { fill: var(--bad); }
.node.unknown { background: var(--idle-soft); } .node.unknown span { color: var(--idle); }
.node.avoided { outline: 2px solid var(--bad); outline-offset: -2px; background: repeating-linear-gradient(135deg, transparent 0 5px, var(--bad-soft) 5px 10px); }
.node.avoided b { text-decoration: line-through; } .node.avoided span { color: var(--bad); } .node.avoided .fill { fill: var(--bad); }
.squares .good { background: var(--good); } .squares .fair { background: var(--fair); } .squares .bad { background: var(--bad); }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.legend { display: flex; flex-wrap: wrap; align-items: center; gap: 2px 6px; }
.legend > span:last-child { flex-basis: 100%; }
.swatch { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin-left: 8px; vertical-align: -1px; }
.swatch.own { background: var(--accent); margin-left: 0; border-radius: 6px; } .swatch.other { background: var(--good); border-radius: 6px; }
.swatch:first-child { margin-left: 0; }
.swatch.good { background: var(--good); } .swatch.fair { background: var(--fair); } .swatch.bad { background: var(--bad); }
.swatch.unknown { background: var(--idle); }
.swatch.avoided { border: 2px solid var(--bad); }
.how { display: grid; gap: 4px; margin-top: 12px; }
.how > div { display: grid; grid-template-columns: 90px 1fr; gap: 10px; }
.how code { overflow-wrap: anywhere; }
.troubles { list-style: none; margin-top: 12px; background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
.troubles li { padding: 10px 16px; }
.troubles li + li { border-top: 1px solid var(--line); }
details { margin-top: 14px; }
summary { cursor: pointer; font-weight: 600; }
details p { margin-top: 8px; font-size: 13px; color: var(--soft); }
.pair { white-space: nowrap; margin-right: 12px; }
table { border-collapse: collapse; margin-top: 8px; font-size: 13px; width: 100%; }
th { text-align: left; font-weight: 600; color: var(--soft); }
th, td { padding: 3px 12px 3px 0; border-bottom: 1px solid var(--line); }
.stale { position: sticky; top: 0; z-index: 1; background: var(--bad); color: #fff; padding: 8px 20px; text-align: center; font-weight: 600; }
.stale[hidden] { display: none; }
@media (prefers-color-scheme: dark) { .stale { color: #14181d; } }
@media (max-width: 860px) {
  .paths { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .column + .column::before { content: none; }
  .hero dl { grid-template-columns: repeat(2, auto); }
  .mixing { grid-template-columns: 1fr; }
}
`;
