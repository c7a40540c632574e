//! Shows failures on a page where a browser navigates; programs get problem documents all the same.

use std::rc::Rc;

use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::policy::{
    ChainPart, Compile, Context, Declaration, Policy, PolicyKind, Role, Stage,
};
use portcullis_exchange::refusal::ErrorPage;

/// `error_pages: { message }`.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "error_pages",
    role: Role::Guards,
    codes: &[],
    compile: Compile::Object(compile),
    rules: &[],
};

/// Declares the page. The stream gives it to what writes a response.
struct ErrorPages {
    page: Rc<ErrorPage>,
}

fn compile(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Vec<ChainPart>> {
    let message = fields.or_default("message", "", context.problems, read_message)?;
    let page = Rc::new(ErrorPage::new(message));
    Some(ChainPart::only(Stage::Response, ErrorPages { page }))
}

fn read_message<'d>(node: &Node<'d>, problems: &mut Problems) -> Option<&'d str> {
    const LONGEST: usize = 1000;
    let message = node.non_empty(problems)?;
    if message.len() > LONGEST {
        node.report(problems, format_args!("must have at most {LONGEST} bytes"));
        return None;
    }
    Some(message)
}

impl Policy for ErrorPages {
    fn declares(&self) -> Declaration {
        Declaration {
            error_page: Some(Rc::clone(&self.page)),
            ..Declaration::default()
        }
    }
}
