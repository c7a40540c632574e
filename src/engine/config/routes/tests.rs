use super::*;
use crate::config::sections::SECTIONS;
use portcullis_exchange::section::Sections;
use portcullis_wire::json::Json;

/// A block that makes nothing, and says nothing of that.
static SILENT: PolicyKind = PolicyKind {
    name: "csrf",
    role: Role::Authenticates,
    codes: &[],
    compile: Compile::Object(|_, _| None),
    rules: &[],
};

/// What is said of a document with that block, of which something else is wrong already.
fn problems_of(wrong: Option<&str>) -> Vec<String> {
    let json = Json::parse(br#"{"csrf":{}}"#, 4).unwrap();
    let root = Node::root(&json);
    let (mut problems, mut notes) = (Problems::default(), Vec::new());
    let mut sections = Sections::default();
    let mut fields = root.fields(&mut problems).unwrap();
    for entry in SECTIONS {
        sections.read(entry, &mut fields, &mut notes, &mut problems);
    }
    let block = fields.optional("csrf").unwrap();
    if let Some(wrong) = wrong {
        root.report(&mut problems, wrong);
    }
    let mut document = Document {
        root: &root,
        sections: &sections,
        template: None,
        is_matched: true,
        versions: None,
        defaults: Vec::new(),
        rollouts: Vec::new(),
        notes: &mut notes,
        problems: &mut problems,
    };
    let read = document.read_written(&SILENT, &block, "routes/a");
    assert!(read.is_none());
    let error = problems.into_result(Some(())).unwrap_err();
    error.problems.iter().map(ToString::to_string).collect()
}

/// A guarded route whose block makes no steps would let everybody in.
#[test]
fn a_block_that_makes_nothing_is_a_problem() {
    assert_eq!(problems_of(None), ["/csrf: cannot be read"]);
    assert_eq!(problems_of(Some("is odd")), ["document: is odd"]);
}
