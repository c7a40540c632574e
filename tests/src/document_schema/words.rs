//! What the reference says of a field: rows of the tables of `docs`.

use std::collections::{BTreeMap, BTreeSet};

use crate::pages::{anchor, pages, quoted};

/// How the tables of fields begin.
const HEADS: [&str; 2] = ["| field | type |", "| field of a range of `asns` |"];

/// A row of a table of fields.
#[derive(Clone, Debug)]
pub struct Row {
    /// The fields that it describes.
    pub names: Vec<String>,
    /// What holds without them, in words; none where the table does not say it.
    pub default: Option<String>,
    /// What they mean, as on the page.
    pub meaning: String,
    /// The page, and the heading that it stands under.
    pub page: String,
    heading: String,
    table: usize,
}

/// The tables of the reference.
pub(super) struct Reference {
    rows: Vec<Row>,
    /// The names in each table.
    tables: Vec<BTreeSet<String>>,
}

/// What is known of an object when a row for one of its fields is looked for.
pub(super) struct Subject<'s> {
    /// What the object stands in, nearest first.
    pub(super) within: &'s [String],
    pub(super) fields: &'s [String],
}

/// All rows of the reference.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut table = 0;
    for (page, text) in pages() {
        if !page.starts_with("docs/") {
            continue;
        }
        let mut heading = String::new();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            if line.starts_with('#') {
                heading = line.trim_start_matches('#').trim().to_owned();
            }
            let is_head = HEADS.iter().any(|head| line.starts_with(head));
            if !is_head {
                continue;
            }
            table += 1;
            let has_default = line.contains("| default |");
            lines.next();
            while let Some(line) = lines.next_if(|line| line.starts_with('|')) {
                let cells = cells(line);
                let [name, _, rest @ ..] = cells.as_slice() else {
                    continue;
                };
                rows.push(Row {
                    names: quoted(name),
                    default: rest.first().filter(|_| has_default).cloned(),
                    meaning: rest.last().cloned().unwrap_or_default(),
                    page: page.clone(),
                    heading: heading.clone(),
                    table,
                });
            }
        }
    }
    rows
}

fn cells(line: &str) -> Vec<String> {
    let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
    let cells = inner.replace("\\|", "\u{0}");
    let cells = cells
        .split('|')
        .map(|cell| cell.trim().replace('\u{0}', "|"));
    cells.collect()
}

impl Reference {
    pub(super) fn read() -> Self {
        let rows = rows();
        let mut tables: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
        for row in &rows {
            tables
                .entry(row.table)
                .or_default()
                .extend(row.names.iter().cloned());
        }
        let most = tables.keys().copied().max().unwrap_or_default();
        Self {
            rows,
            tables: (0..=most)
                .map(|table| tables.remove(&table).unwrap_or_default())
                .collect(),
        }
    }

    /// The rows that may be about a field of an object, with how well each fits.
    pub(super) fn about(&self, field: &str, subject: &Subject<'_>) -> Vec<(usize, f64)> {
        let rows = self.rows.iter().enumerate();
        let named = rows.filter(|(_, row)| row.names.iter().any(|name| name == field));
        named
            .map(|(index, row)| (index, self.fit(row, subject)))
            .collect()
    }

    pub(super) fn row(&self, index: usize) -> &Row {
        &self.rows[index]
    }

    fn fit(&self, row: &Row, subject: &Subject<'_>) -> f64 {
        let table = &self.tables[row.table];
        let shared = subject
            .fields
            .iter()
            .filter(|field| table.contains(*field))
            .count() as f64;
        let page = row
            .page
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .trim_end_matches(".md");
        let heading = row.heading.to_lowercase();
        let mut fit =
            4.0 * shared / table.len() as f64 + 2.0 * shared / subject.fields.len() as f64;
        for (distance, name) in subject.within.iter().enumerate() {
            let weight = 1.0 / (1.0 + distance as f64);
            let words = || heading.split(|c: char| !c.is_alphanumeric() && c != '_');
            if words().any(|word| word == name) {
                fit += 3.0 * weight;
            }
            if page == name {
                fit += 1.5 * weight;
            }
        }
        fit
    }
}

impl Row {
    /// Where on the page it stands, from the folder of the schema.
    pub(super) fn link(&self) -> String {
        let page = self.page.trim_start_matches("docs/");
        format!("../{page}#{}", anchor(&self.heading))
    }

    /// The meaning without markup for links.
    pub fn text(&self) -> String {
        links(&self.meaning, |text, _| text.to_owned())
    }

    /// The meaning with links from the folder of the schema.
    pub(super) fn markdown(&self) -> String {
        links(&self.meaning, |text, target| {
            format!("[{text}]({})", self.target(target))
        })
    }

    fn target(&self, target: &str) -> String {
        if target.contains("://") {
            return target.to_owned();
        }
        let (file, fragment) = target.split_once('#').unwrap_or((target, ""));
        let folder = self.page.rsplit_once('/').map_or("", |(folder, _)| folder);
        let file = match file {
            "" => self.page.clone(),
            file => format!("{folder}/{file}"),
        };
        let mut path: Vec<&str> = Vec::new();
        for part in file.split('/') {
            match part {
                ".." => {
                    path.pop();
                }
                part => path.push(part),
            }
        }
        let path = path.join("/");
        let path = match path.strip_prefix("docs/") {
            Some(page) => format!("../{page}"),
            None => format!("../../{path}"),
        };
        match fragment {
            "" => path,
            fragment => format!("{path}#{fragment}"),
        }
    }
}

/// A text whose links are written in another way.
fn links(text: &str, write: impl Fn(&str, &str) -> String) -> String {
    let mut written = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        written.push_str(before);
        let link = after
            .split_once("](")
            .and_then(|(text, after)| Some((text, after.split_once(')')?)))
            .filter(|(text, _)| !text.contains('['));
        rest = match link {
            Some((text, (target, rest))) => {
                written.push_str(&write(text, target));
                rest
            }
            None => {
                written.push('[');
                after
            }
        };
    }
    written.push_str(rest);
    written
}
