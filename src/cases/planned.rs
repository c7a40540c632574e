//! Heads judged by the plan of their route where one knows all of them, as a host that knows of plans does.

use portcullis::exchange::{BodyState, Edit, FilterStateKey};
use portcullis::headers::{HeaderName, HeaderValue, Headers};
use portcullis::host::Host;
use portcullis::pairs;
use portcullis::pairs::Block;
use portcullis::plan::PlannedChange;
use portcullis::stream::{Action, ResponseHead, Stream};

/// Judges the head of a request: by a plan, if one knows all of it.
///
/// # Errors
/// If a plan changes what no header can hold.
pub fn request_headers(
    stream: &mut Stream,
    headers: Headers,
    body: BodyState,
    host: &dyn Host,
) -> Result<Action, String> {
    let block = pairs::write(headers.iter().collect::<Vec<_>>().into_iter());
    if let Some(refused) = stream.admit(headers.memory().max(block.capacity()), host) {
        return Ok(refused);
    }
    match stream.request_by_plan(block, host) {
        Err(_) => return Ok(stream.on_request_headers(headers, body, host)),
        Ok(Some(reply)) => return Ok(Action::Reply(reply)),
        Ok(None) => {}
    }
    let mut edits = Vec::new();
    stream.planned_changes(&mut |change| edits.push(edit(change)));
    let edits = edits.into_iter().collect::<Option<Vec<Edit>>>();
    edits.map(Action::Continue).ok_or_else(no_field)
}

/// Shapes the head of a response: by the plan, if the request was judged by one that can.
///
/// # Errors
/// As of a request.
pub fn response_headers(
    stream: &mut Stream,
    headers: Option<&Headers>,
    rest: BodyState,
    host: &dyn Host,
) -> Result<ResponseHead, String> {
    let mut edits = Vec::new();
    let answer = headers.and_then(|headers| {
        let fields = headers.iter().collect::<Vec<_>>();
        Block::of(pairs::write(fields.into_iter()))
    });
    let each = &mut |change: PlannedChange<'_>| edits.push(edit(change));
    match stream.response_by_plan(answer.as_ref(), host, each) {
        true => Ok(ResponseHead {
            edits: edits
                .into_iter()
                .collect::<Option<Vec<Edit>>>()
                .ok_or_else(no_field)?,
            ..ResponseHead::default()
        }),
        false => Ok(stream.on_response_headers(headers, rest, host)),
    }
}

/// The record of an exchange, if there is one: by the plan, if that can.
pub fn record(stream: &Stream, host: &dyn Host) -> Option<String> {
    let log = stream.engine()?.access_log()?;
    let mut buffer = b"what stood there before".to_vec();
    match stream.record_by_plan(host, &mut buffer) {
        Some(record) => Some(record.to_owned()),
        None => log.record(&stream.summary(), None, host),
    }
}

fn edit(change: PlannedChange<'_>) -> Option<Edit> {
    let name = |name| HeaderName::parse(name).ok();
    let value = |value| HeaderValue::parse(value).ok();
    Some(match change {
        PlannedChange::Remove(of) => Edit::Remove(name(of)?),
        PlannedChange::Set(of, is) => Edit::Set(name(of)?, value(is)?),
        PlannedChange::Add(of, is) | PlannedChange::New(of, is) => Edit::Add(name(of)?, value(is)?),
        PlannedChange::FilterState(of, is) => {
            let key = of.strip_prefix("portcullis.")?;
            Edit::FilterState(FilterStateKey::parse(key)?, value(is)?)
        }
    })
}

fn no_field() -> String {
    "a plan changes what is no header field".to_owned()
}
