// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The evaluation as one HTML page: pictures are inline SVG, colours follow the reader's light or
// dark theme.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <string_view>

#include "report.h"

namespace thriftattn::cli {
namespace {

constexpr std::string_view kStyle = R"(
:root{--bg:#fcfcfa;--panel:#fff;--ink:#1d2329;--soft:#5b6670;--line:#e3e5e3;
--bar:#a9b4bd;--ours:#0f766e;--ref:#4b5563}
@media(prefers-color-scheme:dark){:root{--bg:#14181b;--panel:#1b2024;--ink:#e8ebed;--soft:#9aa5ad;
--line:#2d353b;--bar:#56626b;--ours:#2dd4bf;--ref:#aab4bc}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1080px;margin:0 auto;padding:32px 20px 64px}
h1{font-size:26px;margin:0 0 4px}h2{font-size:16px;margin:0 0 2px}p{margin:0 0 12px}
.soft{color:var(--soft)}.headline{font-size:18px;margin:14px 0 22px;max-width:70ch}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(340px,1fr));gap:18px;
margin-bottom:22px}
.panel{background:var(--panel);border:1px solid var(--line);border-radius:10px;padding:16px 18px}
.panel p{font-size:13px}svg{width:100%;height:auto;display:block}
svg text{fill:var(--ink);font:13px system-ui,sans-serif;font-variant-numeric:tabular-nums}
svg .tick{fill:var(--soft);font-size:11px}svg line{stroke:var(--line)}
svg .bar{fill:var(--bar)}svg .ours{fill:var(--ours)}svg .ref{fill:var(--ref)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:14px}
th,td{padding:6px 9px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th{color:var(--soft);font-weight:600;font-size:12px}th:first-child,td:first-child{text-align:left}
tr.ours td{color:var(--ours);font-weight:600}
dl{display:grid;grid-template-columns:max-content 1fr;gap:3px 16px;margin:0}
dt{color:var(--soft)}dd{margin:0}section{margin-bottom:22px}
)";

std::string escape(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

const char* css_class(const ArmReport& arm) {
  if (arm.kind == "thrift") return "ours";
  return arm.policy == "exact" ? "ref" : "bar";
}

struct Bar {
  const ArmReport* arm;
  double share;  // of the plot's width, 0 to 1
  std::string label;
};
struct Tick {
  double share;
  std::string label;
};

constexpr double kPlotLeft = 96;
constexpr double kPlotWidth = 270;
constexpr double kPictureWidth = 480;
constexpr double kRowHeight = 28;

std::string bar_chart(const std::vector<Bar>& bars, const std::vector<Tick>& ticks,
                      std::string_view title) {
  const double bottom = kRowHeight * static_cast<double>(bars.size());
  std::string svg = fmt::format(R"(<svg viewBox="0 0 {} {}" role="img" aria-label="{}">)",
                                kPictureWidth, bottom + 22, escape(title));
  for (const Tick& tick : ticks) {
    const double x = kPlotLeft + tick.share * kPlotWidth;
    svg += fmt::format(R"(<line x1="{0:.1f}" y1="0" x2="{0:.1f}" y2="{1}"/>)", x, bottom);
    svg += fmt::format(R"(<text class="tick" x="{:.1f}" y="{}" text-anchor="middle">{}</text>)", x,
                       bottom + 16, tick.label);
  }
  double y = 0;
  for (const Bar& bar : bars) {
    const double width = std::max(1.5, bar.share * kPlotWidth);
    svg += fmt::format(R"(<text x="{}" y="{}" text-anchor="end">{}</text>)", kPlotLeft - 8, y + 18,
                       escape(bar.arm->name));
    svg += fmt::format(R"(<rect class="{}" x="{}" y="{}" width="{:.1f}" height="18" rx="3"/>)",
                       css_class(*bar.arm), kPlotLeft, y + 5, width);
    svg += fmt::format(R"(<text x="{:.1f}" y="{}">{}</text>)", kPlotLeft + width + 6, y + 18,
                       bar.label);
    y += kRowHeight;
  }
  return svg + "</svg>";
}

std::string power_label(int power) {
  return power >= -3 ? fmt::format("{:g}", std::pow(10.0, power)) : fmt::format("1e{}", power);
}

// Logarithmic, from the decade below the smallest KL to the one above the largest.
std::string kl_chart(const EvalReport& report) {
  double low = 1e9;
  double high = 0;
  for (const ArmReport& arm : report.arms) {
    if (!(arm.kl > 0)) continue;
    low = std::min(low, arm.kl);
    high = std::max(high, arm.kl);
  }
  if (high <= 0) return "<p>No arm differs from the reference.</p>";
  const int from = static_cast<int>(std::floor(std::log10(low) - 0.1));
  const int to = static_cast<int>(std::ceil(std::log10(high)));
  const auto share = [&](double kl) { return (std::log10(kl) - from) / (to - from); };
  std::vector<Tick> ticks;
  for (int power = from; power <= to; ++power) {
    ticks.push_back({share(std::pow(10.0, power)), power_label(power)});
  }
  std::vector<Bar> bars;
  for (const ArmReport& arm : report.arms) {
    if (!(arm.kl > 0)) {
      bars.push_back({&arm, 0.0, arm.kl == 0 ? "0" : "not a number"});
      continue;
    }
    std::string label = fmt::format("{:.2g}", arm.kl);
    if (arm.kl >= 1e-4) label = fmt::format("{:.{}f}", arm.kl, arm.kl < 0.01 ? 5 : 3);
    bars.push_back({&arm, share(arm.kl), label});
  }
  return bar_chart(bars, ticks, "KL by arm");
}

std::string speed_chart(const EvalReport& report) {
  const auto speed = [](const ArmReport& arm) {
    return arm.decode_tokens_per_s.value_or(arm.prefill_tokens_per_s);
  };
  double high = 0;
  for (const ArmReport& arm : report.arms) high = std::max(high, speed(arm));
  const double reference = report.arms.empty() ? 0.0 : speed(report.arms[0]);
  std::vector<Bar> bars;
  for (const ArmReport& arm : report.arms) {
    bars.push_back({&arm, high > 0 ? speed(arm) / high : 0.0,
                    fmt::format("{:.1f} ({:.2f}x)", speed(arm), speed(arm) / reference)});
  }
  return bar_chart(bars, {{0.0, "0"}, {1.0, fmt::format("{:.0f}", high)}}, "Speed by arm");
}

std::string percent(const std::optional<double>& value, int digits) {
  return value ? fmt::format("{:.{}f}", *value * 100, digits) : "-";
}

struct Column {
  const char* title;
  std::string (*cell)(const ArmReport& arm);
};
constexpr Column kQualityColumns[] = {
    {"policy", [](const ArmReport& a) { return a.policy; }},
    {"budget %", [](const ArmReport& a) { return fmt::format("{:g}", a.budget * 100); }},
    {"NLL", [](const ArmReport& a) { return fmt::format("{:.4f}", a.nll); }},
    {"d NLL", [](const ArmReport& a) { return fmt::format("{:.5f}", a.delta_nll); }},
    {"KL", [](const ArmReport& a) { return fmt::format("{:.6f}", a.kl); }},
    {"KL p99", [](const ArmReport& a) { return fmt::format("{:.5f}", a.kl_p99); }},
    {"top-1 %", [](const ArmReport& a) { return percent(a.top1, 2); }},
    {"rec %", [](const ArmReport& a) { return percent(a.recovery, 1); }},
    {"rec all %", [](const ArmReport& a) { return percent(a.recovery_all, 1); }},
};
constexpr Column kCostColumns[] = {
    {"decode tok/s",
     [](const ArmReport& a) {
       return a.decode_tokens_per_s ? fmt::format("{:.1f}", *a.decode_tokens_per_s) : "-";
     }},
    {"prefill tok/s",
     [](const ArmReport& a) { return fmt::format("{:.1f}", a.prefill_tokens_per_s); }},
    {"attn %", [](const ArmReport& a) { return percent(a.attention_share, 1); }},
    {"bits", [](const ArmReport& a) { return fmt::format("{:.2f}", a.kv_bits_per_element); }},
    {"prom %", [](const ArmReport& a) { return percent(a.promoted_share, 2); }},
    {"forced %", [](const ArmReport& a) { return percent(a.forced_share, 2); }},
    {"tail %", [](const ArmReport& a) { return percent(a.tail_share, 2); }},
};

std::string table(const EvalReport& report, std::span<const Column> columns) {
  std::string html = "<div class=\"scroll\"><table><tr><th>arm</th>";
  for (const Column& column : columns) html += fmt::format("<th>{}</th>", column.title);
  for (const ArmReport& arm : report.arms) {
    html += fmt::format("</tr>\n<tr class=\"{}\"><td>{}</td>", css_class(arm), escape(arm.name));
    for (const Column& column : columns) html += fmt::format("<td>{}</td>", column.cell(arm));
  }
  return html + "</tr></table></div>";
}

std::string settings(const EvalReport& report) {
  const std::pair<const char*, std::string> lines[] = {
      {"model", report.model + ", weights " + report.weights},
      {"text", fmt::format("{}, {} bytes", report.text, report.text_bytes)},
      {"context", fmt::format("{} tokens, measured from {} on", report.ctx, report.kl_from)},
      {"phase", fmt::format("{}, chunks of {} tokens", report.phase, report.chunk)},
      {"mode", report.mode},
      {"cpu", fmt::format("{}, {} threads, {}", report.cpu, report.threads, report.isa)},
      {"version", fmt::format("thriftattn {}", report.version)},
      {"took", fmt::format("{:.1f} minutes", report.minutes)},
  };
  std::string html = "<dl>";
  for (const auto& [name, value] : lines) {
    html += fmt::format("<dt>{}</dt><dd>{}</dd>", name, escape(value));
  }
  return html + "</dl>";
}

// One sentence on the first thrift arm, where there is one.
std::string headline(const EvalReport& report) {
  for (const ArmReport& arm : report.arms) {
    if (arm.kind != "thrift" || !arm.recovery) continue;
    std::string text = fmt::format(
        "{} reads {:.1f} bits of each K and V element and recovers {:.1f} % of what plain FP4 "
        "loses with its own block in 16 bit",
        escape(arm.name), arm.kv_bits_per_element, *arm.recovery * 100);
    if (arm.recovery_all) {
      text += fmt::format(", {:.1f} % of what all FP4 loses", *arm.recovery_all * 100);
    }
    if (arm.decode_tokens_per_s && report.arms[0].decode_tokens_per_s) {
      text += fmt::format("; it decodes at {:.2f}x the speed of our 16-bit attention",
                          *arm.decode_tokens_per_s / *report.arms[0].decode_tokens_per_s);
    }
    return "<p class=\"headline\">" + text + ".</p>";
  }
  return "";
}

}  // namespace

std::string to_html(const EvalReport& report) {
  std::string help = "<dl>";
  for (const ColumnHelp& line : column_help()) {
    help += fmt::format("<dt>{}</dt><dd>{}</dd>", line.column, escape(line.meaning));
  }
  help += "</dl>";
  const bool stepped = !report.arms.empty() && report.arms[0].decode_tokens_per_s.has_value();
  const char* speed =
      stepped ? "Single decode steps at the end of the text, tokens a second, and against fp16."
              : "The text in chunks, tokens a second, and against fp16.";
  const std::string title = fmt::format("{}, {} tokens, {} phase, {}", escape(report.model),
                                        report.ctx, report.phase, report.mode);
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
      "<title>thriftattn: {0}</title><style>{1}</style></head><body><main>"
      "<h1>FP4 attention with promoted blocks</h1><p class=\"soft\">{0}</p>{2}"
      "<div class=\"charts\"><div class=\"panel\"><h2>Distance to 16-bit attention</h2>"
      "<p class=\"soft\">Mean KL of the next token, nats, logarithmic. Shorter is "
      "better.</p>{3}</div>"
      "<div class=\"panel\"><h2>Speed</h2><p class=\"soft\">{4} Longer is "
      "better.</p>{5}</div></div>"
      "<section class=\"panel\"><h2>Quality</h2>{6}</section>"
      "<section class=\"panel\"><h2>Cost</h2>{9}</section>"
      "<section class=\"panel\"><h2>Settings</h2>{7}</section>"
      "<section class=\"panel\"><h2>Columns</h2>{8}</section></main></body></html>\n",
      title, kStyle, headline(report), kl_chart(report), speed, speed_chart(report),
      table(report, kQualityColumns), settings(report), help, table(report, kCostColumns));
}

}  // namespace thriftattn::cli
