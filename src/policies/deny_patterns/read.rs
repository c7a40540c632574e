//! The block of the document.

use portcullis_detect::{Class, Classes, Detector, Sensitivity};
use portcullis_document::{Case, Fields, LeftOut, Node, Problems};
use portcullis_exchange::policy::{ChainPart, Context, Stage};
use portcullis_wire::budget::Share;
use portcullis_wire::regex::{self, Regex};

use super::DenyPatterns;
use super::except::Exception;
use super::place::{PLACES, SearchedPart};

/// A pattern of the document's.
pub(super) struct Own {
    pub(super) name: String,
    pub(super) regex: Regex,
}

/// What a block looks for, and where: its exceptions are among that.
pub(super) struct Scope {
    pub(super) classes: Classes,
    pub(super) places: Vec<SearchedPart>,
}

const SENSITIVITIES: [(&str, Sensitivity); 3] = [
    ("low", Sensitivity::Low),
    ("medium", Sensitivity::Medium),
    ("high", Sensitivity::High),
];

pub(super) fn compile(
    fields: &mut Fields<'_>,
    context: &mut Context<'_>,
) -> Option<Vec<ChainPart>> {
    let problems = &mut *context.problems;
    if !regex::AVAILABLE {
        problems.report(fields.pointer(), LeftOut::PATTERNS);
        return None;
    }
    let classes = fields.or_default("classes", Classes::ALL, problems, read_classes);
    let sensitivity = fields.or_default(
        "sensitivity",
        Sensitivity::default(),
        problems,
        |node, problems| node.choice(problems, &SENSITIVITIES),
    );
    let own = fields.or_default("patterns", Vec::new(), problems, |node, problems| {
        node.list(problems, Own::read)
    });
    let every = PLACES.map(|(_, place)| place).to_vec();
    let places = fields.or_default("in", every, problems, |node, problems| {
        node.list(problems, |node, problems| node.choice(problems, &PLACES))
    });
    let max_bytes = fields.or_default("max_bytes", 64 << 10, problems, Node::bytes_read);
    let except = fields.optional("except");
    let (own, scope) = (
        own?,
        Scope {
            classes: classes?,
            places: places?,
        },
    );
    let except = match &except {
        None => Some(Vec::new()),
        Some(node) => Exception::read_list(node, &scope, problems),
    };
    if scope.classes.is_empty() && own.is_empty() {
        let reason = "looks for nothing; name one of `classes`, or write `patterns`";
        problems.report(fields.pointer(), reason);
    }
    let detector = Detector::new(scope.classes);
    problems.account(fields.pointer(), Share::Documents, detector.bytes());
    let policy = DenyPatterns {
        detector,
        sensitivity: sensitivity?,
        own,
        places: scope.places,
        except: except?,
        max_bytes: max_bytes?,
        inspection: context.inspection,
    };
    Some(ChainPart::only(Stage::Content, policy))
}

/// Reads a list of classes; none is one too.
pub(super) fn read_classes(node: &Node<'_>, problems: &mut Problems) -> Option<Classes> {
    let choices = Class::ALL.map(|class| (class.name(), class));
    let items = node.items(problems)?;
    let classes: Vec<_> = items
        .iter()
        .map(|item| item.choice(problems, &choices))
        .collect();
    classes.into_iter().collect()
}

impl Own {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let name = fields.required("name", problems);
        let name = name.and_then(|node| node.non_empty(problems).map(str::to_owned));
        let case = fields.or_default(
            "ignore_case",
            Case::Significant,
            problems,
            |node, problems| {
                Some(match node.boolean(problems)? {
                    true => Case::Ignored,
                    false => Case::Significant,
                })
            },
        );
        let regex = fields.required("regex", problems);
        let regex = regex.and_then(|node| node.search(problems, case?));
        fields.deny_unknown(problems);
        Some(Self {
            name: name?,
            regex: regex?,
        })
    }
}
