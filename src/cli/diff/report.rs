//! What differs, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Found;

pub(crate) fn text(found: &Found) -> String {
    let mut out = String::new();
    for change in &found.changes {
        let name = change.name.as_ref().map(|name| format!(" ({name})"));
        let values = change.values.as_ref();
        let values = values.map(|(old, new)| format!(": {old} -> {new}"));
        let _ = writeln!(
            out,
            "{} {}{}{}",
            change.kind.name(),
            change.pointer,
            name.unwrap_or_default(),
            values.unwrap_or_default()
        );
    }
    if !found.changes.is_empty() {
        out.push('\n');
    }
    let mut last = None;
    for ((route, difference), group) in &found.groups {
        if last != Some(route) {
            let _ = writeln!(out, "{route}");
            last = Some(route);
        }
        let _ = writeln!(out, "  {} times: {difference}", group.many);
        for (place, asked) in &group.examples {
            let _ = writeln!(out, "    {place}: {asked}");
        }
    }
    for (reason, many) in &found.unjudged {
        let _ = writeln!(out, "cannot be replayed, {many} times: {reason}");
    }
    let unjudged: usize = found.unjudged.values().sum();
    let _ = writeln!(
        out,
        "{} requests compared, {} differ, {unjudged} cannot be replayed",
        found.judged, found.differing
    );
    if found.is_of_records {
        out += "Records have no bodies and few header fields: what goes by them is not compared.\n";
    }
    out.chars()
        .map(|c| match c {
            '\n' => c,
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

pub(crate) fn json(found: &Found) -> String {
    let changes = found.changes.iter().map(|change| {
        json!({
            "kind": change.kind.name(),
            "pointer": change.pointer,
            "name": change.name,
            "old": change.values.as_ref().map(|(old, _)| old),
            "new": change.values.as_ref().map(|(_, new)| new),
        })
    });
    let groups = found.groups.iter().map(|((route, difference), group)| {
        let examples = group.examples.iter();
        let examples = examples.map(|(place, asked)| json!({ "place": place, "request": asked }));
        json!({
            "route": route,
            "difference": difference,
            "count": group.many,
            "examples": examples.collect::<Vec<Value>>(),
        })
    });
    let unjudged = found.unjudged.iter();
    let unjudged = unjudged.map(|(reason, many)| json!({ "reason": reason, "count": many }));
    let all = json!({
        "documents": changes.collect::<Vec<Value>>(),
        "compared": found.judged,
        "differing": found.differing,
        "differences": groups.collect::<Vec<Value>>(),
        "cannot_be_replayed": unjudged.collect::<Vec<Value>>(),
    });
    all.to_string() + "\n"
}
