//! What the presets set.
//!
//! Values are those of the OWASP Secure Headers Project, list of 2026-07-19, unless a preset is
//! for something that the list is not for. `docs/policies/security_headers.md` says of each value
//! where it comes from.

use super::rule::When;

/// A named set of header fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Preset {
    own: &'static [Field],
    common: &'static [Field],
    /// Whether fields that tell about the software behind are removed.
    pub(super) removes_revealing: bool,
}

/// A name, its value, and on which answers it is set.
type Field = (&'static str, &'static str, When);

pub(super) const PRESETS: &[(&str, Preset)] = &[
    ("api", API),
    ("web", WEB),
    ("strict", STRICT),
    ("none", NONE),
];

impl Preset {
    pub(super) fn fields(self) -> impl Iterator<Item = &'static Field> {
        self.own.iter().chain(self.common)
    }
}

/// For answers that programs read: nothing may be framed, run, sniffed or stored.
const API: Preset = Preset {
    own: &[
        ("cache-control", NO_STORE, When::Always),
        (
            "content-security-policy",
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            When::Always,
        ),
    ],
    common: COMMON,
    removes_revealing: true,
};

/// For pages: the list as it is, except that answers to nobody in particular may be stored.
const WEB: Preset = Preset {
    own: &[
        ("cache-control", NO_STORE, When::Authenticated),
        (
            "content-security-policy",
            "default-src 'self'; form-action 'self'; base-uri 'self'; object-src 'none'; frame-ancestors 'none'; upgrade-insecure-requests",
            When::Always,
        ),
        ("permissions-policy", PERMISSIONS, When::Always),
    ],
    common: COMMON,
    removes_revealing: true,
};

/// For pages made of nothing but their own scripts, styles, images and data, never stored.
const STRICT: Preset = Preset {
    own: &[
        ("cache-control", NO_STORE, When::Always),
        (
            "content-security-policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; upgrade-insecure-requests",
            When::Always,
        ),
        ("permissions-policy", PERMISSIONS, When::Always),
    ],
    common: COMMON,
    removes_revealing: true,
};

const NONE: Preset = Preset {
    own: &[],
    common: &[],
    removes_revealing: false,
};

const COMMON: &[Field] = &[
    ("cross-origin-embedder-policy", "require-corp", When::Always),
    ("cross-origin-opener-policy", "same-origin", When::Always),
    ("cross-origin-resource-policy", "same-origin", When::Always),
    ("referrer-policy", "no-referrer", When::Always),
    (
        super::STRICT_TRANSPORT_SECURITY,
        "max-age=63072000; includeSubDomains",
        When::Always,
    ),
    ("x-content-type-options", "nosniff", When::Always),
    ("x-dns-prefetch-control", "off", When::Always),
    ("x-frame-options", "deny", When::Always),
    ("x-permitted-cross-domain-policies", "none", When::Always),
    ("x-xss-protection", "0", When::Always),
];

const NO_STORE: &str = "no-store, max-age=0";

const PERMISSIONS: &str = "accelerometer=(), autoplay=(), camera=(), cross-origin-isolated=(), display-capture=(), encrypted-media=(), fullscreen=(), geolocation=(), gyroscope=(), keyboard-map=(), magnetometer=(), microphone=(), midi=(), payment=(), picture-in-picture=(), publickey-credentials-get=(), screen-wake-lock=(), sync-xhr=(self), usb=(), web-share=(), xr-spatial-tracking=(), clipboard-read=(), clipboard-write=(), gamepad=(), hid=(), idle-detection=(), interest-cohort=(), serial=(), unload=()";
