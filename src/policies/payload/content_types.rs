//! `content_types` and what stands beside it: which types of bodies may come, and how they may be encoded.

use super::soap::SoapBlock;
use super::xml::XmlBlock;
use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::media_type::{Format, MediaRange, MediaType};
use portcullis_wire::json_gate::Limits;

/// What is judged decides what may come, unless the document says so itself.
pub(super) fn read_content_types(
    fields: &mut Fields<'_>,
    json: Option<Option<Limits>>,
    xml: &Option<Option<XmlBlock>>,
    problems: &mut Problems,
) -> Option<Option<Vec<MediaRange>>> {
    let judges_json = json.is_none_or(|json| json.is_some());
    let judges_xml = xml.as_ref().is_none_or(Option::is_some);
    let block = xml.as_ref().and_then(Option::as_ref);
    let soap = block.and_then(|block| block.soap.as_ref());
    let Some(node) = fields.optional("content_types") else {
        let mut types = Vec::new();
        if judges_json {
            types.extend(MediaRange::parse("application/json"));
        }
        match soap {
            Some(soap) => types.extend(soap.media_types()),
            None if judges_xml => {
                types.extend(
                    ["application/xml", "text/xml"]
                        .iter()
                        .filter_map(|each| MediaRange::parse(each)),
                );
            }
            None => {}
        }
        return Some((!types.is_empty()).then_some(types));
    };
    let ranges = node.list(problems, MediaRange::read)?;
    for (format, is_judged, reason) in [
        (
            Format::Json,
            judges_json,
            "has no JSON, so `json` would judge nothing",
        ),
        (
            Format::Xml,
            judges_xml,
            "has no XML, so `xml` would judge nothing",
        ),
    ] {
        if is_judged && !ranges.iter().any(|range| range.may_be(format)) {
            node.report(problems, reason);
            return None;
        }
    }
    let of_soap = soap.map(SoapBlock::media_types).unwrap_or_default();
    let is_of_soap = |range: &MediaRange| {
        range.as_str().contains('*') || !range.may_be(Format::Xml) || of_soap.contains(range)
    };
    if soap.is_some() && !ranges.iter().all(is_of_soap) {
        let reason = "has XML that is no SOAP of these `versions`, and `soap` would refuse it: 1.1 is text/xml, and 1.2 application/soap+xml";
        node.report(problems, reason);
        return None;
    }
    Some(Some(ranges))
}

pub(super) fn read_assumed(
    node: &Node<'_>,
    allowed: Option<&[MediaRange]>,
    problems: &mut Problems,
) -> Option<String> {
    let written = node.non_empty(problems)?;
    let media_type = MediaType::parse(written.as_bytes());
    let Some(media_type) = media_type else {
        node.report(
            problems,
            "must be a media type, such as \"application/json\"",
        );
        return None;
    };
    let Some(allowed) = allowed else {
        node.report(
            problems,
            "must be one of `content_types`, and there are none",
        );
        return None;
    };
    if !allowed.iter().any(|range| range.contains(&media_type)) {
        node.report(problems, "is not one of `content_types`");
        return None;
    }
    Some(written.to_owned())
}

pub(super) fn read_encodings(node: &Node<'_>, problems: &mut Problems) -> Option<Vec<String>> {
    const KNOWN: [(&str, &str); 5] = [
        ("gzip", "gzip"),
        ("br", "br"),
        ("zstd", "zstd"),
        ("deflate", "deflate"),
        ("compress", "compress"),
    ];
    node.list(problems, |node, problems| {
        node.choice(problems, &KNOWN).map(str::to_owned)
    })
}
