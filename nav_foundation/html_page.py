"""The frame of a report page: look, and the few lines of script that sort its tables."""

from __future__ import annotations

import html

import nav_foundation


def html_page(title: str, body: str) -> str:
    """A page that needs nothing but itself."""
    page = _PAGE.replace("@TITLE@", html.escape(title)).replace("@VERSION@", nav_foundation.__version__)
    return page.replace("@BODY@", body)


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>@TITLE@</title>
<style>
:root { --paper: #f6f7f9; --card: #fff; --ink: #1c2330; --quiet: #667085; --line: #e2e6ec; --accent: #2563eb;
  --good: #15803d; --bad: #c02626; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --paper: #10131a; --card: #181d27; --ink: #e8ecf3; --quiet: #98a2b3;
  --line: #2a3140; --accent: #6b9bff; --good: #4ade80; --bad: #f87171; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1200px; padding: 32px 24px 64px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 26px; margin: 0 0 4px; line-height: 1.25; }
h2 { font-size: 19px; margin: 44px 0 6px; }
h3 { font-size: 16px; margin: 0 0 6px; }
a { color: var(--accent); }
p { margin: 0 0 12px; }
.quiet { color: var(--quiet); font-size: 13px; }
.good { color: var(--good); font-weight: 600; }
.bad { color: var(--bad); font-weight: 600; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 12px; margin: 14px 0 22px; }
.card, article, video, .scroll { background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
.card { padding: 12px 14px; display: flex; flex-direction: column; }
.card strong { font-size: 25px; font-variant-numeric: tabular-nums; line-height: 1.3; }
.bar { position: relative; height: 6px; border-radius: 3px; background: var(--line); margin-top: 8px; }
.bar i { position: absolute; top: 0; bottom: 0; border-radius: 3px; background: var(--accent); opacity: .45; }
.bar b { position: absolute; top: -2px; width: 2px; height: 10px; background: var(--accent); }
article { padding: 16px; margin: 0 0 16px; display: grid; grid-template-columns: minmax(0, 10fr) minmax(220px, 9fr);
  gap: 16px; }
article .map img { width: 100%; border-radius: 8px; display: block; border: 1px solid var(--line); }
.facts { display: flex; flex-direction: column; }
.strip { margin-top: auto; display: grid; grid-template-columns: repeat(3, 1fr); gap: 6px; }
.strip img { width: 100%; border-radius: 6px; display: block; }
.ask { font-size: 16px; }
.pair { display: flex; gap: 16px; justify-content: space-between; overflow-wrap: anywhere; }
.goal { margin: 0 0 12px; flex: 0 0 46%; }
.goal img { width: 100%; border-radius: 8px; display: block; }
figcaption { color: var(--quiet); font-size: 13px; }
video { width: 100%; display: block; background: #000; }
.scroll { overflow: auto; max-height: 560px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { padding: 7px 12px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th:nth-child(-n+2), td:nth-child(-n+2), .overview :nth-child(3) { text-align: left; }
th { position: sticky; top: 0; background: var(--card); font-weight: 600; color: var(--quiet); }
.sortable th { cursor: pointer; user-select: none; }
.sortable th:hover { color: var(--ink); }
tbody tr:last-child td { border-bottom: 0; }
summary { cursor: pointer; margin: 6px 0 10px; font-weight: 600; }
.legend { display: flex; flex-wrap: wrap; gap: 6px 18px; margin: 10px 0 0; }
.legend .start { background: #141418; outline: 1px solid var(--quiet); }
.legend i { display: inline-block; width: 18px; height: 4px; border-radius: 2px; margin-right: 6px;
  vertical-align: 3px; }
@media (max-width: 760px) { article { grid-template-columns: 1fr; } }
</style>
</head>
<body>
<h1>@TITLE@</h1>
<div class="quiet">nav_foundation @VERSION@</div>
@BODY@
<script>
document.querySelectorAll("table.sortable th").forEach(head => head.addEventListener("click", () => {
  const body = head.closest("table").tBodies[0], column = head.cellIndex, up = head.dataset.up !== "1";
  const value = row => { const text = row.cells[column].textContent, number = parseFloat(text);
    return text === "\\u2013" ? -Infinity : isNaN(number) ? text : number; };
  head.dataset.up = up ? "1" : "0";
  [...body.rows].sort((a, b) => { const x = value(a), y = value(b);
    return (x > y ? 1 : x < y ? -1 : 0) * (up ? 1 : -1); }).forEach(row => body.append(row));
}));
</script>
</body>
</html>
"""
