//! CPU per request as bars, and below it the time to load documents.

use std::fmt::Write as _;

use super::costs::Load;
use super::report::Report;
use super::rounds::{Cores, Measured};
use super::spread::Aggregation;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 400.0;
const RIGHT: f64 = 130.0;
const TOP: f64 = 64.0;
const ROW: f64 = 30.0;
const BAR: f64 = 18.0;
/// Of two bars of one chain.
const HALF_BAR: f64 = 12.0;
const OURS: &str = "#c8784a";

/// An SVG image: a bar for the median of each chain, a line from the least to the most.
pub(super) fn draw(report: &Report) -> String {
    let chains: Vec<&Measured> = report
        .groups
        .iter()
        .flat_map(|group| &group.chains)
        .collect();
    let most = chains
        .iter()
        .flat_map(|each| Cores::ALL.map(|cores| each.figures.get(cores)))
        .map(|figures| figures.cpu_us_per_request.max)
        .fold(1.0, f64::max);
    let scale = (WIDTH - LEFT - RIGHT) / most;
    let loads = report.costs.as_ref().map_or(&[][..], |costs| &costs.loads);
    let requests_end = TOP + ROW * chains.len() as f64;
    let loads_height = match loads {
        [] => 0.0,
        loads => TOP + ROW * loads.len() as f64,
    };
    let height = requests_end + loads_height + 40.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"28\" font-size=\"17\">CPU time of Envoy per request, in µs</text>\n\
         <text x=\"16\" y=\"48\" fill=\"#666666\">{}</text>\n",
        escape(&format!(
            "Envoy {}, median of {} rounds of {} s, above by itself, below beside a busy neighbour; {}",
            report.envoy, report.rounds, report.seconds, report.date
        ))
    );
    for (row, chain) in chains.iter().enumerate() {
        let top = TOP + ROW * row as f64;
        let color = color(chain.id);
        for (number, cores) in Cores::ALL.into_iter().enumerate() {
            let title = match cores {
                Cores::Idle => chain.title,
                Cores::Busy => "",
            };
            let place = (top + HALF_BAR * number as f64, HALF_BAR);
            let cpu = chain.figures.get(cores).cpu_us_per_request;
            bar(&mut svg, place, (title, color), cpu, scale);
        }
    }
    if !loads.is_empty() {
        load_bars(&mut svg, requests_end, loads);
    }
    let _ = writeln!(
        svg,
        "<text x=\"16\" y=\"{}\" fill=\"#666666\">{}</text>\n</svg>",
        height - 12.0,
        escape(&report.note)
    );
    svg
}

fn load_bars(svg: &mut String, top: f64, loads: &[Load]) {
    let _ = writeln!(
        svg,
        "<text x=\"16\" y=\"{}\" font-size=\"17\">Time to load a document, in ms for each VM</text>",
        top + 40.0
    );
    let most = loads.iter().map(|load| load.ms_per_configuration.max);
    let scale = (WIDTH - LEFT - RIGHT) / most.fold(1.0, f64::max);
    for (row, load) in loads.iter().enumerate() {
        let title = format!("{}, {}", load.of, load.vm.title());
        let top = top + TOP + ROW * row as f64;
        let place = (top, BAR);
        bar(svg, place, (&title, OURS), load.ms_per_configuration, scale);
    }
}

/// A bar for the median, with its title and color, and a line for the rest.
fn bar(
    svg: &mut String,
    (top, height): (f64, f64),
    (title, color): (&str, &str),
    cpu: Aggregation,
    scale: f64,
) {
    let middle = top + height / 2.0;
    let at = |value: f64| LEFT + value * scale;
    // Writing to a `String` cannot fail.
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n\
         <rect x=\"{LEFT}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{height}\" fill=\"{color}\"/>\n\
         <line x1=\"{:.1}\" y1=\"{middle:.1}\" x2=\"{:.1}\" y2=\"{middle:.1}\" stroke=\"#222222\"/>\n\
         <text x=\"{:.1}\" y=\"{:.1}\">{:.1}</text>",
        LEFT - 8.0,
        middle + 4.0,
        escape(title),
        cpu.median * scale,
        at(cpu.min),
        at(cpu.max),
        at(cpu.max) + 8.0,
        middle + 4.0,
        cpu.median,
    );
}

fn color(id: &str) -> &'static str {
    match id {
        "router" => "#bbbbbb",
        id if id.starts_with("native") => "#7a9cc6",
        _ => OURS,
    }
}

fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}
