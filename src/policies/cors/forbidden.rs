//! What browsers let no page send or read, whatever a server allows (Fetch standard, §2.2).

/// Those of the names that no page sets.
pub(super) fn request(names: Vec<String>) -> Vec<String> {
    const FORBIDDEN: [&str; 21] = [
        "accept-charset",
        "accept-encoding",
        "access-control-request-headers",
        "access-control-request-method",
        "access-control-request-private-network",
        "connection",
        "content-length",
        "cookie",
        "cookie2",
        "date",
        "dnt",
        "expect",
        "host",
        "keep-alive",
        "origin",
        "referer",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    let forbidden = |name: &String| {
        FORBIDDEN.contains(&name.as_str())
            || name == "via"
            || name.starts_with("proxy-")
            || name.starts_with("sec-")
    };
    names.into_iter().filter(forbidden).collect()
}

/// Those of the names that no page reads.
pub(super) fn reply(names: Vec<String>) -> Vec<String> {
    let forbidden = |name: &String| name == "set-cookie" || name == "set-cookie2";
    names.into_iter().filter(forbidden).collect()
}

/// Those of the methods that no page uses.
pub(super) fn methods(methods: impl Iterator<Item = String>) -> Vec<String> {
    let forbidden = |method: &String| {
        let is = |name: &str| method.eq_ignore_ascii_case(name);
        is("CONNECT") || is("TRACE") || is("TRACK")
    };
    methods.filter(forbidden).collect()
}
