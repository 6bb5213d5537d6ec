# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How pages look: one style sheet for hosts and fleets, on screens of any width and on paper.

This file must not import anything but its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.numa.virt.plugins.module_utils._map import style
from ansible_collections.numa.virt.plugins.module_utils._map.model import HUES

_PAGE = """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-padding-top:1rem}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 FONT;font-variant-numeric:tabular-nums}
header,main,footer{max-width:1500px;margin:0 auto;padding:0 clamp(.75rem,2.5vw,2rem)}
header{padding-top:1.25rem}footer{padding-top:1rem;padding-bottom:2rem;color:var(--soft);font-size:13px}
main:focus{outline:none}
h1{font-size:1.7rem;line-height:1.2;margin:.25rem 0 .5rem;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:1.75rem 0 .6rem}.board section:first-child>h2{margin-top:.75rem}
p{margin:.25rem 0}a{color:var(--link);text-underline-offset:2px}
a:focus-visible,summary:focus-visible,.scroll:focus-visible{outline:3px solid var(--link);outline-offset:2px;
border-radius:4px}
.skip{position:absolute;left:-999em;background:var(--paper);padding:.5rem 1rem;z-index:2}
.skip:focus{left:.5rem;top:.5rem}
nav a{font-size:14px}
.facts{display:flex;flex-wrap:wrap;gap:.4rem 2rem;margin:.75rem 0}
.facts div{min-width:5rem}.facts dt{color:var(--soft);font-size:12.5px}
.facts dd{margin:0;font-size:1.1rem;font-weight:600}
.named{text-decoration:none}.named bdi{text-decoration:underline}
.soft{color:var(--soft)}.small{font-size:13px}
.scroll{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;width:100%;font-size:14px}
caption{text-align:left;color:var(--soft);font-size:13px;padding-bottom:.35rem}
th,td{text-align:left;vertical-align:top;padding:.4rem .9rem .4rem 0;border-bottom:1px solid var(--line)}
td bdi,th bdi{overflow-wrap:anywhere}
thead th{color:var(--soft);font-size:12.5px;font-weight:600;vertical-align:bottom;white-space:nowrap;
overflow-wrap:normal}
tbody th{font-weight:600;min-width:9rem;max-width:24rem}td.wide{min-width:11rem}
.sev{display:inline-block;min-width:1.7em;text-align:center;border-radius:1em;padding:.05em .5em;font-size:12px;
font-weight:700;color:var(--on);line-height:1.5;white-space:nowrap}
.sev.error{background:var(--error)}.sev.warning{background:var(--warning)}.sev.info{background:var(--info)}
.tag{display:inline-block;min-width:1.75em;text-align:center;border:1.5px solid;border-radius:4px;padding:0 .3em;
font-size:12px;font-weight:700;line-height:1.5;color:var(--ink)}
.fix{border:1px solid var(--edge);border-radius:4px;padding:0 .4em;font-size:12px;color:var(--soft);white-space:nowrap}
details{margin:1.75rem 0 0}details>.scroll{margin-top:.6rem}
summary{cursor:pointer}summary h2{display:inline}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.list{list-style:none;margin:0;padding:0}
"""

_HOST = """
.board{display:grid;gap:1rem 1.75rem;grid-template-columns:minmax(0,1fr)}
.board>*{min-width:0}
figure{margin:0}figure svg{display:block;min-width:640px;width:100%;height:auto}
.keys{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(15rem,100%),1fr));gap:.1rem .75rem}
.keys li{border-radius:5px;padding:.12rem .3rem;min-width:0}
.keys a{display:flex;gap:.5rem;align-items:baseline;color:inherit;text-decoration:none;min-width:0}
.keys bdi{text-decoration:none;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;flex:0 1 auto}
.keys .tag{min-width:2.4em;flex:none}
.keys .soft{font-size:12.5px;flex:none;margin-left:auto}
.keys a:hover bdi{text-decoration:underline}
.keys li:target,.keys li:focus-within{background:var(--card);box-shadow:inset 3px 0 0 var(--link)}
.finding{padding:.55rem .7rem;border:1px solid var(--line);border-left-width:4px;border-radius:6px;margin:0 0 .55rem;
overflow-wrap:anywhere;background:var(--card)}
.finding.error{border-left-color:var(--error)}.finding.warning{border-left-color:var(--warning)}
.finding.info{border-left-color:var(--info)}
.finding,.finding.error,.finding.warning,.finding.info{fill:none}
.finding:target{outline:2px solid var(--link)}
.finding .head{display:flex;flex-wrap:wrap;gap:.2rem .5rem;align-items:baseline;font-size:13px}
.finding code{font-size:12.5px;color:var(--soft)}
.m,.pill{transition:opacity .15s}
body:has(.keys li:target,.keys a:focus-visible) .m{opacity:.14}
@media (prefers-reduced-motion:reduce){.m,.pill{transition:none}}
@media (min-width:1080px){
.board.few{grid-template-columns:minmax(0,1fr) minmax(19rem,25rem);align-items:start}
.side{position:sticky;top:0;max-height:100vh;overflow-y:auto;padding:0 .5rem 1rem 0}

.side .keys{grid-template-columns:minmax(0,1fr)}
}
"""

_FLEET = """
.cells{display:block;height:44px;width:auto}
.cells .soft-bar{fill:var(--card);stroke:var(--edge)}.cells .cpu-bar{fill:var(--s0)}.cells .mem-bar{fill:var(--s4)}
.cells .over{fill:var(--error);stroke:var(--paper)}
.hosts tbody th{font-size:15px;min-width:11rem}.hosts td{white-space:nowrap}
.hosts .sevs{display:inline-block;white-space:normal;min-width:7rem;max-width:14rem}
.key-cpu,.key-mem{display:inline-block;width:.8em;height:.8em;border-radius:2px;background:var(--s0)}
.key-mem{background:var(--s4)}
.meter{display:inline-block;width:5.5rem;height:.55rem;border:1px solid var(--edge);border-radius:3px;overflow:hidden}
.none{color:var(--soft)}
"""

_PRINT = """
@media print{
@page{margin:12mm}
body{font-size:10.5pt;line-height:1.35}.skip,nav{display:none}a{color:inherit;text-decoration:none}
header,main,footer{max-width:none;padding-left:0;padding-right:0}
.board{display:block}.side{max-height:none;overflow:visible;position:static}
.scroll{overflow:visible}figure{break-inside:avoid}figure svg{min-width:0;max-height:262mm}.hint{display:none}
h2{break-after:avoid}table,table .small,thead th{font-size:8pt}
th,td{padding-right:.5rem}thead th,.hosts td{white-space:normal}
tbody th,.hosts tbody th,td.wide,.hosts .sevs{min-width:0;font-size:inherit}td,tbody th{overflow-wrap:anywhere}
.finding,tr,.keys li{break-inside:avoid}thead{display:table-header-group}
.sev,.tag,.key-cpu,.key-mem{print-color-adjust:exact;-webkit-print-color-adjust:exact}
body .m{opacity:1!important}
}
"""


def sheet() -> str:
    """All rules that do not depend on what is on a page."""
    rules = style.palette() + style.picture() + _PAGE.replace("FONT", style.FONT) + _HOST + _FLEET + _tags() + _PRINT
    return "\n" + rules.strip() + "\n"


def highlights(guests: Iterable[int], findings: Iterable[int]) -> str:
    """That a guest chosen in the key stays as it is while others are dimmed; that a finding's sign is ringed."""
    rules = [
        f"body:has(#g{number}:target) .m.g{number},body:has(#g{number} a:focus-visible) .m.g{number}{{opacity:1}}"
        for number in guests
    ]
    rules += [
        f"body:has(#f{number}:target) .k{number} rect{{stroke:var(--ink);stroke-width:2.5}}" for number in findings
    ]
    return "\n".join(rules) + "\n"


def _tags() -> str:
    return "".join(
        f".tag.h{hue}{{background-color:var(--f{hue});border-color:var(--s{hue})}}" for hue in range(HUES)
    ) + (
        ".tag.q1{background-image:repeating-linear-gradient(135deg,transparent 0 3px,rgb(128 128 128/.35) 3px 4px)}"
        ".tag.q2{background-image:radial-gradient(rgb(128 128 128/.5) 1px,transparent 1.2px);background-size:4px 4px}"
        ".tag.q3{background-image:repeating-linear-gradient(0deg,transparent 0 3px,rgb(128 128 128/.35) 3px 4px)}"
    )
