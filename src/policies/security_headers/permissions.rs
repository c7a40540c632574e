//! `permissions_policy`: Permissions-Policy as features with lists of origins.

use super::structured::{Disposition, StructuredHeader};
use portcullis_document::{DidYouMean, Node, Problems};
use portcullis_exchange::policy::Context;

pub(super) const HEADER: StructuredHeader = StructuredHeader {
    enforced: "permissions-policy",
    report_only: "permissions-policy-report-only",
    write,
};

/// Features with a name in a specification, in a proposal or in a browser.
const FEATURES: &[&str] = &[
    "accelerometer",
    "ambient-light-sensor",
    "attribution-reporting",
    "autoplay",
    "battery",
    "bluetooth",
    "browsing-topics",
    "camera",
    "captured-surface-control",
    "ch-device-memory",
    "ch-downlink",
    "ch-dpr",
    "ch-ect",
    "ch-prefers-color-scheme",
    "ch-prefers-reduced-motion",
    "ch-prefers-reduced-transparency",
    "ch-rtt",
    "ch-save-data",
    "ch-ua",
    "ch-ua-arch",
    "ch-ua-bitness",
    "ch-ua-form-factors",
    "ch-ua-full-version",
    "ch-ua-full-version-list",
    "ch-ua-high-entropy-values",
    "ch-ua-mobile",
    "ch-ua-model",
    "ch-ua-platform",
    "ch-ua-platform-version",
    "ch-ua-wow64",
    "ch-viewport-height",
    "ch-viewport-width",
    "ch-width",
    "clipboard-read",
    "clipboard-write",
    "compute-pressure",
    "cross-origin-isolated",
    "deferred-fetch",
    "deferred-fetch-minimal",
    "device-attributes",
    "digital-credentials-get",
    "display-capture",
    "document-domain",
    "encrypted-media",
    "execution-while-not-rendered",
    "execution-while-out-of-viewport",
    "focus-without-user-activation",
    "fullscreen",
    "gamepad",
    "geolocation",
    "gyroscope",
    "hid",
    "identity-credentials-get",
    "idle-detection",
    "interest-cohort",
    "join-ad-interest-group",
    "keyboard-map",
    "language-detector",
    "language-model",
    "local-fonts",
    "local-network-access",
    "magnetometer",
    "media-playback-while-not-visible",
    "microphone",
    "midi",
    "navigation-override",
    "on-device-speech-recognition",
    "otp-credentials",
    "payment",
    "picture-in-picture",
    "private-aggregation",
    "private-state-token-issuance",
    "private-state-token-redemption",
    "publickey-credentials-create",
    "publickey-credentials-get",
    "record-ad-auction-events",
    "rewriter",
    "run-ad-auction",
    "screen-wake-lock",
    "serial",
    "shared-autofill",
    "shared-storage",
    "shared-storage-select-url",
    "speaker-selection",
    "storage-access",
    "summarizer",
    "sync-script",
    "sync-xhr",
    "translator",
    "unload",
    "usb",
    "vertical-scroll",
    "web-app-installation",
    "web-share",
    "window-management",
    "writer",
    "xr-spatial-tracking",
];

/// Reads the features and writes them down: an RFC 9651 dictionary of inner lists.
fn write(node: &Node<'_>, _disposition: Disposition, context: &mut Context<'_>) -> Option<String> {
    let problems = &mut *context.problems;
    let entries = node.members(problems)?;
    if entries.is_empty() {
        node.report(problems, "must not be empty");
        return None;
    }
    let written: Vec<Option<String>> = entries
        .iter()
        .map(|(name, node)| {
            let known = FEATURES.contains(name);
            if !known {
                let near = DidYouMean(name, FEATURES.iter().copied());
                let reason = format_args!(
                    "unknown feature; a new one goes into \"set\", with the whole of the header{near}"
                );
                node.report(problems, reason);
            }
            let allowed = allowlist(node, problems)?;
            known.then(|| format!("{name}={allowed}"))
        })
        .collect();
    let written: Vec<String> = written.into_iter().collect::<Option<_>>()?;
    Some(written.join(", "))
}

fn allowlist(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    if node.json().as_str() == Some("*") {
        return Some("*".to_owned());
    }
    let items = node.items(problems)?;
    let members: Vec<Option<String>> = items.iter().map(|item| member(item, problems)).collect();
    let members: Vec<String> = members.into_iter().collect::<Option<_>>()?;
    Some(format!("({})", members.join(" ")))
}

fn member(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    let text = node.text(problems)?;
    let cure = match text {
        "self" => return Some(text.to_owned()),
        "'self'" => "must be \"self\", without single quotes: they are for Content-Security-Policy",
        "none" | "'none'" => "nobody is allowed by an empty list: write []",
        "*" => "stands for everybody, and alone: write \"*\" in place of the list",
        "src" | "'src'" => "means something in the `allow` attribute of a frame only",
        _ if is_origin(text) => return Some(format!("\"{text}\"")),
        _ => "must be \"self\" or an origin such as \"https://maps.example.com\", without a path",
    };
    node.report(problems, cure);
    None
}

/// `scheme://host[:port]`; `*.` may stand for names below a host.
fn is_origin(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else {
        return false;
    };
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let label = |label: &str| {
        let character = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        !label.is_empty() && label.bytes().all(character)
    };
    ["https", "http"].contains(&scheme)
        && host
            .strip_prefix("*.")
            .unwrap_or(host)
            .split('.')
            .all(label)
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
}
