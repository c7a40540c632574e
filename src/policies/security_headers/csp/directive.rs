//! The directives of Content-Security-Policy, Level 3, and what each takes.

/// What a directive takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// Sources of scripts: places, hashes, and every keyword.
    Scripts,
    /// Sources of styles: places, hashes, and the keywords about inline content.
    Styles,
    /// Places, `'self'` and `'none'`.
    Places,
    /// Nothing.
    Nothing,
    /// Words of this list, or nothing.
    Words(&'static [&'static str]),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Names of Trusted Types policies.
    PolicyNames,
    /// Absolute paths and URLs.
    Urls,
    /// The name of one endpoint.
    Endpoint,
}

/// Every directive that browsers have, except directives that no longer do anything.
pub(super) const DIRECTIVES: &[(&str, Takes)] = &[
    ("default-src", Takes::Scripts),
    ("script-src", Takes::Scripts),
    ("script-src-elem", Takes::Scripts),
    ("script-src-attr", Takes::Scripts),
    ("style-src", Takes::Styles),
    ("style-src-elem", Takes::Styles),
    ("style-src-attr", Takes::Styles),
    ("child-src", Takes::Places),
    ("connect-src", Takes::Places),
    ("fenced-frame-src", Takes::Places),
    ("font-src", Takes::Places),
    ("frame-src", Takes::Places),
    ("img-src", Takes::Places),
    ("manifest-src", Takes::Places),
    ("media-src", Takes::Places),
    ("object-src", Takes::Places),
    ("worker-src", Takes::Places),
    ("base-uri", Takes::Places),
    ("form-action", Takes::Places),
    ("frame-ancestors", Takes::Places),
    ("sandbox", Takes::Words(SANDBOX)),
    ("upgrade-insecure-requests", Takes::Nothing),
    ("require-trusted-types-for", Takes::OneOf(&["'script'"])),
    ("trusted-types", Takes::PolicyNames),
    ("webrtc", Takes::OneOf(&["'allow'", "'block'"])),
    ("report-to", Takes::Endpoint),
    ("report-uri", Takes::Urls),
];

/// What browsers once had, and what to write instead.
pub(super) const GONE: &[(&str, &str)] = &[
    (
        "block-all-mixed-content",
        "write \"upgrade-insecure-requests\"; browsers block the rest by themselves",
    ),
    ("navigate-to", "browsers do not have it"),
    (
        "plugin-types",
        "write \"object-src\": there are no plugins any more",
    ),
    ("prefetch-src", "write \"default-src\""),
    (
        "referrer",
        "set the header \"referrer-policy\" in its place",
    ),
    ("reflected-xss", "browsers no longer have such a filter"),
    ("require-sri-for", "browsers do not have it"),
];

/// The tokens of a sandbox, from HTML.
const SANDBOX: &[&str] = &[
    "allow-downloads",
    "allow-forms",
    "allow-modals",
    "allow-orientation-lock",
    "allow-pointer-lock",
    "allow-popups",
    "allow-popups-to-escape-sandbox",
    "allow-presentation",
    "allow-same-origin",
    "allow-scripts",
    "allow-storage-access-by-user-activation",
    "allow-top-navigation",
    "allow-top-navigation-by-user-activation",
    "allow-top-navigation-to-custom-protocols",
];
