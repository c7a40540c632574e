//! How the document declares parameters.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::{Parameter, ParameterLocation, ParameterSet, Parameters, Style, Undeclared};
use portcullis_document::{DidYouMean, Fields, Node, Problems, Quoted};
use portcullis_exchange::policy::Context;
use portcullis_exchange::refusal::Disclosure;
use portcullis_exchange::route::PathTemplate;
use portcullis_schema::{Formats, Notes, Schema, Schemas};
use portcullis_wire::headers::HeaderName;

/// Reads the block.
pub(super) fn read(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Parameters> {
    let [query, path, headers] = [
        fields.optional("query"),
        fields.optional("path"),
        fields.optional("headers"),
    ];
    // What says nothing without `query` says so itself.
    let asks_nothing = [&query, &path, &headers].iter().all(|each| each.is_none());
    if asks_nothing && fields.optional("undeclared").is_none() {
        let reason = "needs one of \"query\", \"path\", \"headers\"";
        fields.lacks(&["query", "path", "headers"], context.problems, reason);
    }
    let has_query = query.is_some() || fields.misnames(&["query"], context.problems);
    let undeclared = read_undeclared(fields, has_query, context.problems);
    let told = read_told(fields.optional("details").as_ref(), context.problems);
    let [query, headers] = [
        (ParameterLocation::Query, query),
        (ParameterLocation::Headers, headers),
    ]
    .map(|(part, node)| node.map(|node| read_list(&node, part, context)));
    let path = path.map(|node| {
        let set = read_list(&node, ParameterLocation::Path, context)?;
        let template = find_template(&node, &set, context)?;
        Some((template, set))
    });
    // What is there and wrong has been reported.
    Some(Parameters {
        query: query.map_or(Some(None), |set| set.map(Some))?,
        undeclared: undeclared?,
        path: path.map_or(Some(None), |set| set.map(Some))?,
        headers: headers.map_or(Some(None), |set| set.map(Some))?,
        told: told?,
    })
}

fn read_undeclared(
    fields: &mut Fields<'_>,
    has_query: bool,
    problems: &mut Problems,
) -> Option<Undeclared> {
    fields.or_default(
        "undeclared",
        Undeclared::Refuse,
        problems,
        |node, problems| {
            if !has_query {
                node.report(problems, "says nothing without `query`");
                return None;
            }
            Undeclared::read(node, problems)
        },
    )
}

/// Reads `details`.
pub(crate) fn read_told(node: Option<&Node<'_>>, problems: &mut Problems) -> Option<Disclosure> {
    let choices = [
        ("none", Disclosure::CodeOnly),
        ("pointers", Disclosure::Pointers),
    ];
    match node {
        None => Some(Disclosure::CodeOnly),
        Some(node) => node.choice(problems, &choices),
    }
}

/// Every parameter of a path stands in the template of its route.
fn find_template(
    node: &Node<'_>,
    set: &ParameterSet,
    context: &mut Context<'_>,
) -> Option<Rc<PathTemplate>> {
    let Some(template) = context.template.clone() else {
        if !context.is_matched {
            return None;
        }
        let reason = "needs a route whose `match.path` is a `template`";
        node.report(context.problems, reason);
        return None;
    };
    for parameter in set.iter() {
        let names = template.names();
        if !names.clone().any(|name| name == parameter.name) {
            let near = DidYouMean(&parameter.name, names);
            let name = Quoted(&parameter.name);
            let reason = format_args!("the route's template has no {name}{near}").to_string();
            node.report(context.problems, reason);
        }
    }
    Some(template)
}

/// Reads a list of parameters, which may be empty.
pub(crate) fn read_list(
    node: &Node<'_>,
    part: ParameterLocation,
    context: &mut Context<'_>,
) -> Option<ParameterSet> {
    let items = node.items(context.problems)?;
    let mut declared: Vec<Parameter> = Vec::with_capacity(items.len());
    let (mut sound, mut names) = (true, BTreeSet::new());
    for item in &items {
        let Some(parameter) = read_parameter(item, part, context) else {
            sound = false;
            continue;
        };
        if !names.insert(parameter.name.clone()) {
            let name = Quoted(&parameter.name);
            let reason = format_args!("another parameter is named {name} too").to_string();
            item.report(context.problems, reason);
        }
        declared.push(parameter);
    }
    sound.then(|| ParameterSet::new(part, declared))
}

fn read_parameter(
    node: &Node<'_>,
    part: ParameterLocation,
    context: &mut Context<'_>,
) -> Option<Parameter> {
    let mut fields = node.fields(context.problems)?;
    let name = fields.required("name", context.problems);
    let name = name.and_then(|node| read_name(&node, part, context.problems));
    let required = fields.or_default(
        "required",
        part == ParameterLocation::Path,
        context.problems,
        |node, problems| {
            let required = node.boolean(problems)?;
            if part == ParameterLocation::Path && !required {
                node.report(problems, "a path always has its parameters");
            }
            Some(required)
        },
    );
    let schema = fields.required("schema", context.problems);
    let schema = schema.and_then(|node| read_schema(&node, context));
    let style = fields.optional("style");
    fields.deny_unknown(context.problems);
    let schema = schema?;
    let takes_list = schema.kinds().array() && !schema.kinds().is_every();
    let style = match style {
        Some(node) => read_style(&node, takes_list, part, context.problems)?,
        None if !takes_list => Style::Single,
        None if matches!(part, ParameterLocation::Query | ParameterLocation::Form) => {
            Style::Repeated
        }
        None => Style::Separated(','),
    };
    let mut parameter = Parameter::new(&name?, style, schema, node.pointer().clone());
    parameter.required = required?;
    Some(parameter)
}

fn read_name(node: &Node<'_>, part: ParameterLocation, problems: &mut Problems) -> Option<String> {
    let written = node.non_empty(problems)?;
    if part != ParameterLocation::Headers {
        return Some(written.to_owned());
    }
    let name = HeaderName::parse(written).ok();
    if name.is_none() {
        node.report(problems, "must be the name of a header field");
    }
    name.map(|name| name.as_str().to_owned())
}

fn read_style(
    node: &Node<'_>,
    takes_list: bool,
    part: ParameterLocation,
    problems: &mut Problems,
) -> Option<Style> {
    let choices = [
        ("repeated", Style::Repeated),
        ("comma", Style::Separated(',')),
        ("space", Style::Separated(' ')),
        ("pipe", Style::Separated('|')),
        ("json", Style::Json),
    ];
    let style = node.choice(problems, &choices)?;
    let reason = match style {
        Style::Json => return Some(style),
        _ if !takes_list => "says nothing unless the `type` of the schema is \"array\"",
        Style::Repeated if part == ParameterLocation::Path => "a path has each parameter once",
        _ => return Some(style),
    };
    node.report(problems, reason);
    None
}

/// A schema, or the name of one of the document's. Formats are asserted.
fn read_schema(node: &Node<'_>, context: &mut Context<'_>) -> Option<Schema> {
    let Some(name) = node.json().as_str() else {
        let mut notes = Notes::default();
        let schema = Schema::read(node, Formats::Assert, &mut notes, context.problems);
        context.notes.extend(notes.lines(context.place));
        return schema;
    };
    let schemas = context.sections.get::<Schemas>();
    if let Some((place, format)) = schemas.unknown_format(name) {
        let format = Quoted(format);
        let reason = format_args!(
            "cannot be used: formats of parameters are asserted, and {place} names {format}, which is not known"
        );
        node.report(context.problems, reason.to_string());
        return None;
    }
    let Some(schema) = schemas.named(name, Formats::Assert) else {
        let near = DidYouMean(name, schemas.names());
        let reason = format_args!("no schema is named {}{near}", Quoted(name)).to_string();
        node.report(context.problems, reason);
        return None;
    };
    let complete = schemas.has_all_patterns(name, None, context.problems);
    schema.filter(|_| complete)
}
