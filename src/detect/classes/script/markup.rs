//! Elements, attributes and addresses.

use crate::classes::around::after_prose;
use crate::list::{List, Prefixes};
use crate::spot::{is_space, is_word, skip_space};
use crate::{Evidence, Spot};

const HANDLER: &str = "event handler";
const ELEMENT: &str = "element that runs or loads something";
const ADDRESS: &str = "address that is a program";

fn name_length(text: &[u8]) -> usize {
    let ends = |byte: &u8| !(is_word(*byte) || matches!(byte, b'-' | b':' | b'?' | b'!' | b'.'));
    text.iter().position(ends).unwrap_or(text.len())
}

/// An element, if it is one that does something or has an attribute that does.
pub(super) fn tag(spot: &Spot<'_>) -> Option<Evidence> {
    let after = spot.after();
    let (closing, text) = match after {
        [b'/', rest @ ..] => (true, rest),
        _ => (false, after),
    };
    // Browsers need the name at once; those who repair mark-up do not.
    let is_junk = |byte: &&u8| {
        !(is_word(**byte) || **byte >= 0x80 || matches!(byte, b'!' | b'?' | b'<' | b'>' | b'='))
    };
    let blanks = text.iter().take(5).take_while(is_junk).count();
    let text = text.get(blanks..)?;
    let (name, rest) = text.split_at_checked(name_length(text))?;
    let local = name.rsplit(|byte| *byte == b':').next().unwrap_or(name);
    if name.starts_with(b"!") || name.starts_with(b"?") {
        return declaration(name, rest);
    }
    if local.is_empty() || !name.first()?.is_ascii_alphabetic() {
        return None;
    }
    let next = rest.first().copied();
    let ends = next.is_none_or(|next| {
        is_space(next)
            || matches!(
                next,
                b'>' | b'/' | b'<' | b'"' | b'\'' | b'=' | b'+' | b'%' | 0
            )
    });
    if blanks > 0
        && !(ends && const { List::new("script iframe object embed svg style img") }.has(local))
    {
        return None;
    }
    spot.work().add(48);
    let attributes = rest
        .split(|byte| matches!(byte, b'<' | b'>'))
        .next()
        .unwrap_or_default();
    let score = match local {
        b"script" | b"vmlframe" | b"xss" => Evidence::SURE,
        _ if local.starts_with(b"script") && !ends => return None,
        b"iframe" | b"object" | b"embed" | b"applet" | b"frameset" | b"frame" | b"ilayer"
        | b"layer" | b"bgsound" | b"isindex" | b"foreignobject" | b"noembed" | b"plaintext"
        | b"xmp" | b"listing" | b"animate" | b"animatetransform" | b"handler" | b"listener"
        | b"portal" | b"fencedframe" | b"htmlfile" | b"form" | b"bindings" | b"param" | b"set"
            if ends && !closing =>
        {
            Evidence::LIKELY
        }
        b"svg" | b"math" | b"marquee" | b"base" | b"meta" | b"link" | b"body" | b"video"
        | b"audio"
            if ends && !closing && has_attribute(local, attributes) =>
        {
            Evidence::LIKELY
        }
        b"style" | b"body" | b"html" | b"form" | b"title" | b"textarea" | b"noscript"
        | b"template" | b"svg"
            if closing && ends && spot.is_first() =>
        {
            Evidence::HINT
        }
        b"style" if ends && !closing => Evidence::LIKELY,
        _ if name.starts_with(b"importimplementation") || name.starts_with(b"import") && ends => {
            Evidence::LIKELY
        }
        b"include" if name.len() > local.len() && !closing => Evidence::LIKELY,
        _ => 0,
    };
    // Types of programming languages are written so.
    let is_type = next == Some(b'>') && spot.before().last().copied().is_some_and(is_word);
    let score = match is_type && local != b"script" {
        true => 0,
        false => score,
    };
    spot.work().add(attributes.len().saturating_mul(3));
    let by_attribute = attribute_score(attributes);
    if score == 0 && by_attribute == 0 {
        // It is left open: what follows in the page becomes its attributes.
        let is_open = !rest.contains(&b'>')
            && spot.before().len() < 60
            && attributes.contains(&b'=')
            && !after_prose(spot);
        let loads =
            const { List::new("a img input div video audio image source track") }.has(local);
        return (is_open && loads && rest.len() < 100)
            .then(|| Evidence::new("element left open", Evidence::LIKELY));
    }
    match by_attribute > score {
        true => Some(Evidence::new(HANDLER, by_attribute)),
        false => Some(Evidence::new(ELEMENT, score)),
    }
}

/// Whether an element that is harmless without them has attributes.
fn has_attribute(element: &[u8], attributes: &[u8]) -> bool {
    let has = |words: &[&[u8]]| words.iter().any(|word| contains(attributes, word));
    match element {
        b"base" => has(&[b"href"]),
        b"meta" => has(&[b"http-equiv", b"charset", b"refresh", b"content"]),
        b"link" => has(&[b"href", b"rel"]),
        b"marquee" => has(&[b"on"]),
        b"video" | b"audio" => has(&[b"src"]),
        b"body" | b"svg" | b"math" => has(&[b"="]),
        _ => true,
    }
}

/// Whether one text stands in another.
pub(super) fn contains(text: &[u8], what: &[u8]) -> bool {
    let first = what.first();
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| Some(byte) == first) {
        rest = rest.get(at..).unwrap_or_default();
        if rest.starts_with(what) {
            return true;
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    false
}

/// The weight of the attributes of an element.
fn attribute_score(attributes: &[u8]) -> u16 {
    let mut before = b' ';
    let mut rest = attributes;
    while let [byte, after @ ..] = rest {
        if *byte == b'o'
            && !is_word(before)
            && after.first() == Some(&b'n')
            && handler(after.get(1..).unwrap_or_default(), false).is_some()
        {
            return Evidence::SURE;
        }
        if *byte == b'x' && (rest.starts_with(b"xsi:schemalocation") || contains_xinclude(rest)) {
            return Evidence::LIKELY;
        }
        if *byte == b'p' && !is_word(before) && rest.starts_with(b"pattern=") {
            return Evidence::LIKELY;
        }
        before = *byte;
        rest = after;
    }
    0
}

fn contains_xinclude(text: &[u8]) -> bool {
    text.starts_with(b"xmlns") && contains(text.get(..80).unwrap_or(text), b"xinclude")
}

/// Declarations of documents, and what only some browsers run.
fn declaration(name: &[u8], rest: &[u8]) -> Option<Evidence> {
    let score = match name {
        b"!entity" => Evidence::SURE,
        b"!doctype" if contains(rest, b"[") || contains(rest, b"system") => Evidence::LIKELY,
        b"?import" => Evidence::LIKELY,
        b"?xml-stylesheet" if contains(rest, b"href") => Evidence::LIKELY,
        b"!" if rest.starts_with(b"[cdata[") => Evidence::SUSPECT,
        b"!--" if skip_space(rest).starts_with(b"[if") => Evidence::LIKELY,
        _ => return None,
    };
    Some(Evidence::new("declaration of a document", score))
}

/// What the names of events begin with, behind their `on`.
const EVENTS: Prefixes = Prefixes::new(
    "abort activate after animation auxclick before begin blur bounce cancel canplay cellchange change \
    click close contextmenu controlselect copy cuechange cut data dblclick deactivate drag drop duration emptied end error \
    filterchange finish focus formdata fullscreen gotpointer hashchange help input invalid key languagechange layout load \
    losecapture lostpointer media message mouse move offline online outofsync page paste pause play pointer popstate \
    progress propertychange ratechange readystate redo repeat reset resize resume reverse row scroll search security seek \
    select show slotchange stalled start stop storage submit suspend syncrestored timeerror timeout timeupdate toggle touch \
    trackchange transition undo unhandled unload urlflip volume waiting webkit wheel zoom",
);

/// What follows the `=` of an event handler, behind its `on`: of a known event, or of any.
fn handler(text: &[u8], any: bool) -> Option<&[u8]> {
    let length = text.iter().take_while(|byte| is_word(**byte)).count();
    if !(3..=26).contains(&length) {
        return None;
    }
    let (event, rest) = text.split_at_checked(length)?;
    let parts = |byte: &u8| is_space(*byte) || matches!(byte, 0 | b';' | b',');
    let value = rest.iter().position(|byte| !parts(byte));
    let [b'=', value @ ..] = rest.get(value?..)? else {
        return None;
    };
    if matches!(value, [b'=' | b'>', ..]) {
        return None;
    }
    let is_known = EVENTS.strip(event).is_some();
    (is_known || any && event.iter().all(u8::is_ascii_lowercase)).then_some(value)
}

/// An event handler without the element that it is of: a text that is put into one.
pub(super) fn event_handler(spot: &Spot<'_>) -> Option<Evidence> {
    let before = spot.before();
    let any = matches!(before.last(), Some(b'"' | b'\'' | b'`' | b'/'));
    spot.work().add(64);
    let value = skip_space(handler(spot.after(), any)?);
    spot.work().add(128);
    let is_short = before.len() < 60 && spot.after().len() < 100 && !before.contains(&b'\n');
    let score = match before.last() {
        Some(b'"' | b'\'' | b'`' | b'/') => Evidence::SURE,
        // Code of scripts sets them so.
        Some(b'(') if is_short => Evidence::LIKELY,
        Some(b'.' | b'-' | b'(' | b'{' | b'$' | b'@' | b'?' | b'&' | b':') => return None,
        Some(b';' | b',' | b'=' | b'0'..=b'9') => Evidence::LIKELY,
        _ => match value {
            _ if is_short => Evidence::LIKELY,
            [b'"' | b'\'', ..] if !before.contains(&b'<') || before.len() < 60 => Evidence::LIKELY,
            [first, ..] if is_word(*first) && contains(value, b"(") => Evidence::LIKELY,
            _ if before.is_empty() => Evidence::LIKELY,
            _ => Evidence::HINT,
        },
    };
    Some(Evidence::new(HANDLER, score))
}

/// Other attributes that do something.
pub(super) fn attribute(spot: &Spot<'_>) -> Option<Evidence> {
    let before = spot.before().last().copied().unwrap_or(b' ');
    let [b'=', value @ ..] = skip_space(spot.after()) else {
        return None;
    };
    if !(is_space(before) || matches!(before, b'"' | b'\'' | b'/' | b'`')) {
        return None;
    }
    spot.work().add(96);
    let in_element = spot.before().contains(&b'<');
    let trimmed = spot.before().trim_ascii_end();
    let leaves =
        !in_element && trimmed.len() < 60 && matches!(trimmed.last(), Some(b'"' | b'\'' | b'/'));
    let score = match spot.word() {
        b"style" => {
            let value = value.get(..80).unwrap_or(value);
            let runs = contains(value, b"expression")
                || contains(value, b"behavio")
                || contains(value, b"-moz-binding")
                || contains(value, b"javascript")
                || contains(value, b"url(");
            match runs {
                true => Evidence::LIKELY,
                false if leaves => Evidence::LIKELY,
                false => return None,
            }
        }
        b"background" | b"ping" | b"poster" | b"src" | b"action" if !leaves => return None,
        _ if in_element || leaves => Evidence::LIKELY,
        _ => Evidence::SUSPECT,
    };
    Some(Evidence::new(
        "attribute that runs or loads something",
        score,
    ))
}

/// `javascript:` and its like, with white space between its letters as browsers drop it.
pub(super) fn program_address(spot: &Spot<'_>) -> Option<Evidence> {
    let schemes: [&[u8]; 2] = [b"javascript", b"vbscript"];
    let scheme = schemes
        .into_iter()
        .find(|scheme| scheme.starts_with(spot.word()))?;
    let mut rest = spot.after();
    let mut parted = false;
    for letter in scheme.iter().skip(spot.word().len()) {
        while let [b'\t' | b'\n' | b'\r' | 0 | b' ' | b'\\', after @ ..] = rest {
            (rest, parted) = (after, true);
        }
        let [first, after @ ..] = rest else {
            return None;
        };
        if first != letter {
            return None;
        }
        rest = after;
    }
    let [b':', code @ ..] = skip_space(rest) else {
        return None;
    };
    let value = skip_space(code);
    let runs = value
        .iter()
        .take(60)
        .any(|byte| matches!(byte, b'(' | b'=' | b'`' | b'[' | b'/' | b'%'));
    let score = match (parted, code.first()) {
        (true, Some(_)) => Evidence::SURE,
        (_, None)
            if spot.before().is_empty()
                || matches!(spot.before().last(), Some(b'=' | b'"' | b'\'')) =>
        {
            Evidence::LIKELY
        }
        (_, Some(first)) if !is_space(*first) && runs => Evidence::SURE,
        (_, Some(first)) if !is_space(*first) => Evidence::LIKELY,
        (_, Some(_)) if contains(value.get(..40).unwrap_or(value), b"(") => Evidence::LIKELY,
        _ => return None,
    };
    Some(Evidence::new(ADDRESS, score))
}

/// `data:` with a type that a browser runs.
pub(super) fn data_address(spot: &Spot<'_>) -> Option<Evidence> {
    let value = skip_space(spot.after());
    let runs = [
        "text/html",
        "text/xml",
        "application/xhtml",
        "application/xml",
        "image/svg",
        "text/javascript",
        "application/javascript",
        "application/x-javascript",
        "text/vbscript",
        "application/ecmascript",
        "text/ecmascript",
    ];
    let found = runs.iter().any(|each| value.starts_with(each.as_bytes()));
    let bare = value.starts_with(b",") && contains(value.get(..40).unwrap_or(value), b"(");
    let score = match (found, value.starts_with(b"image/svg")) {
        (true, false) => Evidence::SURE,
        (true, true) => Evidence::SUSPECT,
        _ if bare => Evidence::LIKELY,
        _ => return None,
    };
    Some(Evidence::new(ADDRESS, score))
}

/// What runs or loads out of a style sheet.
pub(super) fn style(spot: &Spot<'_>) -> Option<Evidence> {
    let after = skip_space(spot.after());
    let before = spot.before().trim_ascii_end();
    let in_style = matches!(before.last(), Some(b':' | b'=' | b'/')) || contains(before, b"<");
    let score = match (spot.word(), after) {
        (b"expression", [b'(', ..]) if in_style => Evidence::LIKELY,
        (b"@import", [b'\'' | b'"' | b'u', ..])
            if before.ends_with(b">") || spot.is_first() && contains(after, b"//") =>
        {
            Evidence::LIKELY
        }
        (b"-moz-binding", [b':', ..]) => Evidence::SURE,
        (b"behavior", [b':', rest @ ..]) if skip_space(rest).starts_with(b"url") => {
            Evidence::LIKELY
        }
        (b"url", [b'(', value @ ..]) => {
            let value = value.get(..16).unwrap_or(value);
            let runs = contains(value, b"script:") || contains(value, b"data:text");
            return runs.then(|| Evidence::new(ADDRESS, Evidence::SURE));
        }
        _ => return None,
    };
    Some(Evidence::new("style that runs something", score))
}

/// An element in UTF-7.
pub(super) fn utf7(spot: &Spot<'_>) -> Option<Evidence> {
    let closed = contains(spot.after(), b"+ad4-");
    let score = if closed {
        Evidence::SURE
    } else {
        Evidence::SUSPECT
    };
    Some(Evidence::new("element in UTF-7", score))
}
