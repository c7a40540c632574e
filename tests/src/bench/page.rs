//! The tables on pages for people, each between two comments that name it.

use std::fs;

use portcullis_tests::tokens;

use super::report::Report;

const FIGURES: &str = "docs/performance.md";
const README: &str = "README.md";
/// All aims, which only a run of all groups measures.
const AIMS: &str = "aims";
/// What the README shows, and the group that it is from.
const WHOLE: &str = "whole";

/// Writes the tables of the groups that were measured in place of those that are there. `results` is the name of the
/// files with all that was measured.
pub(super) fn write(report: &Report, results: &str, is_whole: bool) -> Result<(), String> {
    let mut figures: Vec<(&str, String)> = Vec::new();
    if is_whole {
        let measured = measured(report);
        let links = links("../tests/bench/results", results);
        let aims = report.aims();
        figures.push((AIMS, format!("{measured}: {links}.\n\n{aims}")));
    }
    let groups = report.groups.iter();
    figures.extend(groups.map(|group| (group.name, group.tables())));
    let costs = report.costs.iter();
    figures.extend(costs.map(|costs| (super::COSTS, costs.tables())));
    replace(FIGURES, &figures)?;
    let mut groups = report.groups.iter();
    let Some(whole) = groups.find(|group| group.name == WHOLE) else {
        return Ok(());
    };
    let (measured, links) = (measured(report), links("tests/bench/results", results));
    let (requests, ratios) = (whole.requests(), whole.ratios());
    let text =
        format!("{measured}: [all figures]({FIGURES}#figures), {links}.\n\n{requests}\n{ratios}");
    replace(README, &[(WHOLE, text)])
}

fn measured(report: &Report) -> String {
    let day = report.date.get(..10).unwrap_or(&report.date);
    format!(
        "{} rounds of {} s on {} cores, {day}, Envoy {}, one worker unless it says otherwise",
        report.rounds, report.seconds, report.machine.cores, report.envoy
    )
}

fn links(folder: &str, results: &str) -> String {
    format!("[as data]({folder}/{results}.json), [as a plot]({folder}/{results}.svg)")
}

fn replace(name: &str, parts: &[(&str, String)]) -> Result<(), String> {
    let path = tokens::repository().join(name);
    let failed = |error: std::io::Error| format!("{name}: {error}");
    let mut page = fs::read_to_string(&path).map_err(failed)?;
    for (part, text) in parts {
        page = with(&page, part, text)
            .ok_or_else(|| format!("{name}: no comments `{}` and `{}`", begin(part), end(part)))?;
    }
    fs::write(&path, page).map_err(failed)
}

fn begin(part: &str) -> String {
    format!("<!-- bench: {part} -->\n")
}

fn end(part: &str) -> String {
    format!("<!-- end of bench: {part} -->")
}

/// The page with this text between the comments.
fn with(page: &str, part: &str, text: &str) -> Option<String> {
    let (begin, end) = (begin(part), end(part));
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{text}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::super::groups;
    use super::*;

    #[test]
    fn a_table_takes_the_place_of_the_old_one() {
        let page = "# A\n\n<!-- bench: a -->\nold\n<!-- end of bench: a -->\n\nMore.\n";
        let new = with(page, "a", "| new |\n").unwrap();
        assert_eq!(
            new,
            "# A\n\n<!-- bench: a -->\n\n| new |\n\n<!-- end of bench: a -->\n\nMore.\n"
        );
        assert_eq!(with(&new, "a", "| new |\n").unwrap(), new);
        assert_eq!(with(page, "b", ""), None);
    }

    #[test]
    fn each_group_has_its_place() {
        let read = |name: &str| fs::read_to_string(tokens::repository().join(name)).unwrap();
        let figures = read(FIGURES);
        let groups = groups::ALL.iter().map(|group| group.name);
        for part in groups.chain([AIMS, super::super::COSTS]) {
            assert!(with(&figures, part, "").is_some(), "{FIGURES}: {part}");
        }
        assert!(with(&read(README), WHOLE, "").is_some());
    }
}
