//! Content-Security-Policy as a structure: the presets pass its own checks, and what is open is
//! noted.

use portcullis::engine::Engine;
use serde_json::{Map, Value, json};

use super::{engine, shaped};

fn policy_of(preset: &str) -> String {
    let fields = shaped(&engine(&json!({ "preset": preset })), &[]);
    let found = fields
        .into_iter()
        .find(|(name, _)| name == "content-security-policy");
    found.expect("every preset has a policy").1
}

fn notes(directives: &Value) -> Vec<String> {
    let block = json!({
        "preset": "web", "content_security_policy": { "directives": directives },
    });
    notes_of(&engine(&block))
}

/// What is noted of policies: the documents here are open on purpose.
fn notes_of(engine: &Engine) -> Vec<String> {
    let is_open = |note: &&String| note.starts_with("/routes: every route is open");
    let notes = engine.notes().iter().filter(|note| !is_open(note));
    notes.cloned().collect()
}

#[test]
fn the_policies_of_the_presets_read_as_they_are_written_and_leave_nothing_open() {
    for preset in ["api", "web", "strict"] {
        let policy = policy_of(preset);
        let mut directives = Map::new();
        for directive in policy.split("; ") {
            let mut words = directive.split(' ');
            let name = words.next().expect("a directive has a name");
            directives.insert(name.to_owned(), words.collect::<Vec<_>>().into());
        }
        // serde_json sorts members, and the order of directives means nothing.
        let mut expected: Vec<&str> = policy.split("; ").collect();
        expected.sort_unstable();
        let block = json!({
            "preset": "none", "content_security_policy": { "directives": directives },
        });
        let engine = engine(&block);
        assert_eq!(notes_of(&engine), [""; 0], "{preset}");
        let written = shaped(&engine, &[]).remove(0).1;
        let mut written: Vec<&str> = written.split("; ").collect();
        written.sort_unstable();
        assert_eq!(written, expected, "{preset}");
    }
}

#[test]
fn what_leaves_more_open_than_it_seems_is_noted() {
    const HASH: &str = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='";
    let with = |name: &str, sources: Value| {
        let mut directives = json!({
            "default-src": ["'self'"], "base-uri": [], "form-action": [], "frame-ancestors": [],
        });
        directives[name] = sources;
        directives
    };
    for (directives, wanted) in [
        (
            with("script-src", json!(["'unsafe-inline'"])),
            &["'unsafe-inline'"][..],
        ),
        (
            with("default-src", json!(["'unsafe-inline'"])),
            &["'unsafe-inline'"],
        ),
        (with("script-src", json!(["'unsafe-inline'", HASH])), &[]),
        (with("style-src", json!(["'unsafe-inline'"])), &[]),
        (
            with("script-src", json!(["'unsafe-eval'"])),
            &["'unsafe-eval'"],
        ),
        (
            with("script-src-elem", json!(["*"])),
            &["\"script-src-elem\" lets scripts come from anywhere"],
        ),
        (
            with("script-src", json!(["https:", "data:"])),
            &["\"script-src\" lets scripts"],
        ),
        (
            with("script-src", json!(["'strict-dynamic'", "https:"])),
            &["no script runs"],
        ),
        (
            with("script-src", json!(["'strict-dynamic'", HASH, "https:"])),
            &[],
        ),
        (
            with("object-src", json!(["https://*"])),
            &["\"object-src\" lets embedded content"],
        ),
        (with("img-src", json!(["*"])), &[]),
        (
            with("default-src", json!(["*"])),
            &[
                "\"default-src\" lets scripts",
                "\"default-src\" lets embedded content",
            ],
        ),
        (
            json!({ "img-src": ["'self'"] }),
            &[
                "neither \"script-src\" nor \"default-src\"",
                "neither \"object-src\" nor \"default-src\"",
                "no \"base-uri\"",
                "no \"form-action\"",
                "no \"frame-ancestors\"",
            ],
        ),
    ] {
        let notes = notes(&directives);
        assert_eq!(notes.len(), wanted.len(), "{directives}: {notes:#?}");
        for (note, wanted) in notes.iter().zip(wanted) {
            let place = "/routes/0/security_headers/content_security_policy/directives: ";
            assert!(note.starts_with(place) && note.contains(wanted), "{note}");
        }
    }
}

#[test]
fn a_policy_that_reports_to_nobody_is_noted() {
    let block = json!({ "preset": "web", "content_security_policy": { "report_only": {
        "default-src": [], "base-uri": [], "form-action": [], "frame-ancestors": [],
    } } });
    let notes = notes_of(&engine(&block));
    assert!(
        notes.len() == 1 && notes[0].contains("nobody hears the reports"),
        "{notes:?}"
    );
}
