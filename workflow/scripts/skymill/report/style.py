"""The style of the report's pages: colours, sizes, and the fills of bars."""

STYLE = """
:root{color-scheme:light dark;--page:#fff;--panel:#f4f6f8;--ink:#16202a;--muted:#56616c;
--line:#d5dbe1;--shade:#8893a0;--link:#0b5394;--mark:#a33c00;
--c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#cc79a7;--c4:#e69f00;--c5:#56b4e9;--c6:#6b4c9a;--c7:#7a7a7a}
@media (prefers-color-scheme:dark){:root{--page:#11161c;--panel:#1b232c;--ink:#e8edf2;
--muted:#a5b1bd;--line:#37434f;--shade:#66788a;--link:#8cc7ff;--mark:#ffb37a;
--c0:#4aa8e0;--c1:#f2793a;--c2:#2fc49a;--c3:#e49bc3;--c4:#f0b53c;--c5:#8ed0f5;--c6:#a98cd8;--c7:#b0b0b0}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);
font:16px/1.5 "Liberation Sans",Arial,Helvetica,sans-serif;overflow-wrap:break-word}
main,header,footer,nav{max-width:46rem;margin:0 auto;padding:0 1rem}
h1{font-size:1.9rem;line-height:1.2;margin:1.5rem 0 .5rem}
h2{font-size:1.5rem;margin:3rem 0 .5rem;padding-top:.6rem;border-top:3px solid var(--c0)}
h3{font-size:1.1rem;margin:0;line-height:1.4}
summary h3{display:inline}
summary{padding:.15rem 0}
summary{cursor:pointer}
a{color:var(--link)}
figure{margin:1.6rem 0;padding:0}
figcaption{color:var(--muted);font-size:.95rem;margin:.2rem 0 .6rem}
.wide{overflow-x:auto;margin:.6rem 0;
background:linear-gradient(90deg,var(--page) 40%,transparent) 0 0/2rem 100% no-repeat local,
linear-gradient(270deg,var(--page) 40%,transparent) 100% 0/2rem 100% no-repeat local,
linear-gradient(90deg,var(--shade),transparent) 0 0/.8rem 100% no-repeat scroll,
linear-gradient(270deg,var(--shade),transparent) 100% 0/.8rem 100% no-repeat scroll}
:focus-visible{outline:3px solid var(--link);outline-offset:2px}
.wide svg{display:block}
.columns{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,19.4rem),1fr));gap:.4rem}
.columns .wide{margin:0}
.columns>div{min-width:0}
img{display:block;max-width:100%;height:auto}
.pixels{image-rendering:pixelated}
.sheet{display:flex;flex-wrap:wrap;gap:.8rem;list-style:none;margin:.6rem 0;padding:0}
.sheet span{display:block;font-size:.82rem;line-height:1.35}
.key{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;list-style:none;margin:.4rem 0;padding:0}
pre{white-space:pre-wrap;font-size:.82rem}
table{min-width:min(100%,24rem);border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--muted);padding-bottom:.3rem}
th,td{text-align:left;vertical-align:top;padding:.2rem .9rem .2rem 0;
border-bottom:1px solid var(--line)}
thead th{border-bottom:2px solid var(--muted);vertical-align:bottom}
tbody th{font-weight:normal}
.number{text-align:right}
.simulated{background:var(--panel);border-left:8px solid var(--mark);
padding:.8rem 1rem;margin:1rem 0}
.simulated strong{display:block;color:var(--mark);font-size:1.7rem;line-height:1.2}
.skip{position:absolute;left:-99rem}
.skip:focus{left:1rem;top:.5rem;background:var(--page);padding:.4rem .8rem}
.fills{position:absolute;width:0;height:0}
nav ul{columns:16rem;padding-left:1.2rem}
footer{margin-top:3rem;padding-bottom:3rem;color:var(--muted);font-size:.9rem}
.sheet img+span{font-weight:bold}
.pictures{width:100%;table-layout:fixed;margin-top:1.6rem}
.pictures th:first-child{width:5.4rem}
.pictures td{padding:.15rem;border:0}
.pictures th{overflow-wrap:anywhere}
.pictures tbody th{border:0;font-size:.8rem;padding-right:.2rem}
.pictures img{width:100%}
.absent{aspect-ratio:1;display:flex;align-items:center;justify-content:center;max-width:128px;
border:1px dashed var(--muted);
background:repeating-linear-gradient(45deg,var(--page) 0 5px,var(--line) 5px 7px)}
.absent span{background:var(--page);color:var(--ink);font-size:.75rem;line-height:1.2;
padding:.1rem;text-align:center}
.note{display:block;font-size:.8rem;line-height:1.3}
.legend{display:flex;gap:.5rem;align-items:center;font-size:.9rem;margin:.3rem 0}
.swatch{flex:none;width:1rem;height:1rem;border:1px solid var(--ink)}
@media (max-width:42rem){.wide:has(>svg[width="660"])::before{
content:"Scroll sideways to see the whole chart.";
position:sticky;left:0;font-size:.8rem;color:var(--muted)}}
@media print{.wide{overflow:visible}}
"""
"""Colours are variables, so the charts use the light or dark colours of the page: see charts."""

_HATCHES = (
    "",
    '<path d="M-1,1L1,-1M0,8L8,0M7,9L9,7"/>',
    '<path d="M4,0V8"/>',
    '<path d="M-1,7L1,9M0,0L8,8M7,-1L9,1"/>',
    '<path d="M0,4H8"/>',
    '<path d="M4,0V8M0,4H8"/>',
    '<path d="M0,0L8,8M8,0L0,8"/>',
    '<path d="M2,2h1M6,6h1"/>',
)


def _patterns() -> str:
    """Return the fills of the series: each has another colour and another pattern of lines."""
    fills = "".join(
        f'<pattern id="fill{number}" width="8" height="8" patternUnits="userSpaceOnUse">'
        f'<rect width="8" height="8" fill="var(--c{number})"/>'
        f'<g stroke="var(--page)" stroke-width="1.4">{hatch}</g></pattern>'
        for number, hatch in enumerate(_HATCHES)
    )
    return f'<svg class="fills" aria-hidden="true" focusable="false"><defs>{fills}</defs></svg>'


PATTERNS = _patterns()
"""Definitions of the fills of `charts.fill`. Each page contains them once."""
