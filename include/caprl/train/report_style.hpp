#pragma once

namespace caprl::detail {

/// The report's style sheet: light and dark, wide and narrow.
inline constexpr const char* report_style = R"css(
:root{color-scheme:light dark;--page:#f6f5f1;--card:#fffefb;--ink:#1d2127;--soft:#5c6470;--faint:#8b929c;--rule:#e6e3da;
--accent:#0f7b6c;--tint:#d9efe9;--was:#c3bfb4;--c1:#0f7b6c;--c2:#d9772b;--c3:#4f6bd0;--c4:#b0457b;--c5:#8a8d2a;--c6:#5b6470;
--shadow:0 1px 2px rgba(40,36,20,.05),0 8px 24px rgba(40,36,20,.05)}
@media(prefers-color-scheme:dark){:root{--page:#14171a;--card:#1c2024;--ink:#eceae4;--soft:#a6adb5;--faint:#7a828b;
--rule:#2d3338;--accent:#4fc4ae;--tint:#173c37;--was:#565d64;--c1:#4fc4ae;--c2:#f0a05a;--c3:#8fa5f5;--c4:#e583b3;
--c5:#c9cc62;--c6:#98a1ab;--shadow:none}}
*{box-sizing:border-box}html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",
"DejaVu Sans",sans-serif;font-variant-numeric:tabular-nums}
main{max-width:1180px;margin:0 auto;padding:56px 28px 40px}
h1{font-size:38px;line-height:1.12;letter-spacing:-.022em;font-weight:680;margin:0 0 10px;text-wrap:balance}
h2{font-size:22px;letter-spacing:-.012em;font-weight:650;margin:56px 0 4px}
h3{font-size:15px;font-weight:650;margin:0;letter-spacing:-.003em}h4{margin:0}
p{margin:0}.lead{font-size:17px;color:var(--soft);max-width:70ch}.about{color:var(--soft);font-size:13.5px;max-width:80ch}
h2+.about{margin-bottom:2px}
.card{background:var(--card);border:1px solid var(--rule);border-radius:14px;padding:20px 22px;margin:0;box-shadow:var(--shadow);
min-width:0}
.grid3{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(340px,100%),1fr));gap:18px;margin-top:18px}
.grid3 .card{display:flex;flex-direction:column}.grid3 .legend{margin-bottom:auto}
.stack{display:grid;gap:18px;margin-top:18px}
.heads{display:grid;grid-template-columns:repeat(auto-fit,minmax(200px,1fr));gap:18px;margin-top:32px}
.head .value{font-size:34px;line-height:1.15;font-weight:680;letter-spacing:-.025em;margin-top:6px;white-space:nowrap}
.head .value s{text-decoration:none;font-weight:450;color:var(--faint);font-size:22px;letter-spacing:-.01em}
.head .value s::after{content:"\2192";margin:0 .32em;font-size:18px}
.head .name{color:var(--soft);font-size:13.5px}.head .note{color:var(--faint);font-size:12.5px;margin-top:4px}
.head:first-child .value{color:var(--accent)}.head:first-child .value s{color:var(--faint)}
svg{display:block;width:100%;height:auto;margin-top:10px;overflow:visible}
.grid{stroke:var(--rule);stroke-width:1;fill:none}.tick{fill:var(--faint);font-size:10.5px}.end{text-anchor:end}
.middle{text-anchor:middle}.line,.faint{fill:none;stroke-linejoin:round;stroke-linecap:round}.line{stroke-width:2.2}
.faint{stroke-width:1;opacity:.28}.dot{stroke:var(--card);stroke-width:1.5}
.s1{stroke:var(--c1)}.s2{stroke:var(--c2)}.s3{stroke:var(--c3)}.s4{stroke:var(--c4)}.s5{stroke:var(--c5)}.s6{stroke:var(--c6)}
.f1{fill:var(--c1)}.f2{fill:var(--c2)}.f3{fill:var(--c3)}.f4{fill:var(--c4)}.f5{fill:var(--c5)}.f6{fill:var(--c6)}
.b1{background:var(--c1)}.b2{background:var(--c2)}.b3{background:var(--c3)}.b4{background:var(--c4)}.b5{background:var(--c5)}
.b6{background:var(--c6)}
.legend{display:flex;flex-wrap:wrap;gap:2px 16px;font-size:12.5px;color:var(--soft);margin-top:6px}
.key i{display:inline-block;width:9px;height:9px;border-radius:3px;margin-right:6px}.key b{color:var(--ink);font-weight:600}
.scroll{overflow-x:auto;margin:12px -22px -8px;padding:0 22px 8px}table{border-collapse:collapse;width:100%;font-size:14px}
th,td{text-align:left;padding:10px 18px 10px 0;vertical-align:top;border-top:1px solid var(--rule);min-width:112px}
thead th{border-top:0;color:var(--soft);font-weight:500;font-size:12.5px;padding-top:0;vertical-align:bottom}
tbody th{font-weight:550;min-width:150px}td b{font-weight:650}td small{color:var(--faint);font-size:11.5px}td.none{color:var(--faint)}
.scale{display:block;position:relative;height:5px;border-radius:3px;background:var(--rule);margin:5px 0 3px;max-width:150px}
.scale i{position:absolute;inset:0 auto 0 0;border-radius:3px;background:var(--accent);opacity:.55}
.scale u{position:absolute;top:-2px;bottom:-2px;min-width:2px;border-radius:2px;background:var(--accent)}
.view{display:grid;grid-template-columns:minmax(0,250px) minmax(0,1fr);gap:30px;margin-top:14px;align-items:start}
.film .view{grid-template-columns:minmax(0,1fr);gap:18px}
.pictures{display:grid;gap:10px}.pictures figure{margin:0}.film .pictures{display:flex;overflow-x:auto;padding-bottom:4px}
.film .pictures figure{flex:1 0 110px;max-width:220px}
img{display:block;width:100%;height:auto;border-radius:9px;background:var(--rule)}img.small{image-rendering:pixelated}
figcaption{font-size:12px;color:var(--faint);text-align:center;margin-top:4px}
.captions{display:grid;gap:16px}.film .captions{grid-template-columns:repeat(auto-fit,minmax(min(320px,100%),1fr))}
.caption{border-left:3px solid var(--was);padding-left:14px}.caption.is{border-color:var(--accent)}
.caption h4{font-size:11.5px;font-weight:600;letter-spacing:.05em;text-transform:uppercase;color:var(--faint);margin-bottom:2px}
.caption.is h4{color:var(--accent)}.caption p{white-space:pre-wrap;overflow-wrap:anywhere}.caption.was p{color:var(--soft)}
.caption.is p{font-size:16px}mark{background:var(--tint);color:inherit;border-radius:4px;padding:1px 3px;margin:0 -3px;
-webkit-box-decoration-break:clone;box-decoration-break:clone}
.questions{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(225px,100%),1fr));gap:20px 30px;margin-top:20px;
padding-top:18px;border-top:1px solid var(--rule)}
.question>p{font-size:14px;font-weight:550;margin-bottom:6px;overflow-wrap:anywhere}
.option{display:grid;grid-template-columns:minmax(0,1fr) 44%;gap:10px;align-items:center;font-size:13px;color:var(--soft);padding:3px 0}
.option .name{overflow-wrap:anywhere}.option .name b{display:inline-block;width:20px;font-weight:500;color:var(--faint)}
.option.gold{color:var(--ink);font-weight:600}.option.gold .name::after{content:"\2713";color:var(--accent);margin-left:6px}
.bars{display:grid;gap:2px}.bar{display:block;position:relative;height:9px;padding-right:26px}
.bar i{display:block;height:100%;min-width:2px;border-radius:2px;background:var(--was)}
.bar em{position:absolute;right:0;top:-4px;font:normal 10.5px/17px system-ui,sans-serif;color:var(--faint);font-variant-numeric:tabular-nums}
.bar.is i{background:var(--c6);opacity:.75}.gold .bar.is i{background:var(--accent);opacity:1}.gold .bar.is em{color:var(--ink);font-weight:600}
.help{font-size:12.5px;color:var(--faint);margin-top:6px}.help i{display:inline-block;width:18px;height:8px;border-radius:2px;margin:0 5px 0 10px}
footer{margin-top:56px;padding-top:18px;border-top:1px solid var(--rule);color:var(--faint);font-size:12.5px;white-space:pre-wrap}
@media(max-width:640px){main{padding:32px 16px}h1{font-size:30px}.view{grid-template-columns:1fr}.card{padding:16px}
.scroll{margin:12px -16px -8px;padding:0 16px 8px}}
@media print{body{background:#fff}.card{break-inside:avoid;box-shadow:none}}
)css";

}  // namespace caprl::detail
