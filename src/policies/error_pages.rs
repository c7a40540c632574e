//! Shows failures on a page where a browser navigates; programs get problem documents all the same.

use std::rc::Rc;

use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::plan::Draft;
use portcullis_exchange::policy::{Compile, Context, Declaration, Kind, Part, Policy, Role, Stage};
use portcullis_exchange::refusal::ErrorPage;

/// `error_pages: { message }`.
pub(super) const KIND: Kind = Kind {
    name: "error_pages",
    role: Role::Guards,
    codes: &[],
    compile: Compile::Object(compile),
    rules: &[],
};

/// Has the page; whoever writes an answer asks for it.
struct ErrorPages {
    page: Rc<ErrorPage>,
}

fn compile(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Vec<Part>> {
    let message = fields.or("message", "", context.problems, read_message)?;
    let page = Rc::new(ErrorPage::new(message));
    Some(Part::only(Stage::Answer, ErrorPages { page }))
}

fn read_message<'d>(node: &Node<'d>, problems: &mut Problems) -> Option<&'d str> {
    const LONGEST: usize = 1000;
    let message = node.name(problems)?;
    if message.len() > LONGEST {
        node.report(problems, format_args!("must have at most {LONGEST} bytes"));
        return None;
    }
    Some(message)
}

impl Policy for ErrorPages {
    /// It concerns refusals alone, and is declared.
    fn plan(&self, _: &mut Draft<'_>) -> Option<()> {
        Some(())
    }

    fn declares(&self) -> Declaration {
        Declaration {
            error_page: Some(Rc::clone(&self.page)),
            ..Declaration::default()
        }
    }
}
