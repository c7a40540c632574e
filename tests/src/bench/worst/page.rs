//! The table: on standard output, as data, and on the page about performance.

use std::fmt::Write as _;
use std::fs;

use portcullis_tests::tokens;

use super::{Results, WORST};

const PAGE: &str = "docs/performance.md";
const HEADING: &str = "## The worst request";

pub(super) fn write(results: &Results) -> Result<(), String> {
    let table = table(results);
    print!("{table}");
    let root = tokens::repository();
    let day = results.date.get(..10).unwrap_or(&results.date);
    let name = format!("tests/bench/results/{day}-{WORST}.json");
    let json = serde_json::to_string_pretty(results).map_err(|error| error.to_string())?;
    let save = |name: &str, text: String| {
        fs::write(root.join(name), text).map_err(|error| format!("{name}: {error}"))
    };
    save(&name, json + "\n")?;
    let page = fs::read_to_string(root.join(PAGE)).map_err(|error| format!("{PAGE}: {error}"))?;
    let page =
        with_table(&page, &table).ok_or_else(|| format!("{PAGE}: no table under {HEADING}"))?;
    save(PAGE, page)?;
    println!("\nwritten: {name} and {PAGE}");
    Ok(())
}

fn table(results: &Results) -> String {
    let mut out = String::from(
        "| policy | the worst request found | answer | ms | proxy, ms | within 10 ms |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    let mut rows: Vec<_> = results.rows.iter().collect();
    rows.sort_by(|a, b| b.ms.total_cmp(&a.ms));
    for row in rows {
        let verdict = if row.within_aim { "yes" } else { "**no**" };
        let cell = |text: &str| text.replace('|', "&#124;");
        let (shape, answer) = (cell(&row.shape), cell(&row.answer));
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            out,
            "| {} | {shape} | {answer} | {:.2} | {:.2} | {verdict} |",
            row.policy, row.ms, row.proxy_ms
        );
    }
    out
}

/// The page with this table in place of the first one below the heading.
fn with_table(page: &str, table: &str) -> Option<String> {
    let (before, after) = page.split_once(&format!("\n{HEADING}\n"))?;
    let begin = after.find("\n| ")? + 1;
    let (between, old) = after.split_at(begin);
    let end = old.find("\n\n").map_or(old.len(), |end| end + 1);
    let rest = old.get(end..)?;
    Some(format!("{before}\n{HEADING}\n{between}{table}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_takes_the_place_of_the_old_one() {
        let page =
            "# A\n\n| other |\n\n## The worst request\n\nWords.\n\n| old |\n| row |\n\nMore.\n";
        let new = with_table(page, "| new |\n").unwrap();
        assert_eq!(
            new,
            "# A\n\n| other |\n\n## The worst request\n\nWords.\n\n| new |\n\nMore.\n"
        );
        assert_eq!(with_table("# A\n", "| new |\n"), None);
    }
}
