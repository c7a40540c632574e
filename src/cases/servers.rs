//! Servers that a case's document has called while a request waits.

use crate::wire::Response;

/// The proxy's cluster of a server, and what it answers.
#[derive(Clone, Debug)]
pub struct CaseServer {
    /// The name of the cluster.
    pub cluster: String,
    /// What it answers to a call whose body has that text in it; the first that fits.
    pub answers: Vec<(String, Response)>,
}

/// What these servers answer to a call of a cluster with that body; none if there is no such cluster.
pub fn answer(servers: &[CaseServer], cluster: &str, body: &[u8]) -> Option<Response> {
    let server = servers.iter().find(|server| server.cluster == cluster)?;
    Some(answer_of(&server.answers, body))
}

/// 404 where nothing fits.
pub(crate) fn answer_of(answers: &[(String, Response)], body: &[u8]) -> Response {
    let body = String::from_utf8_lossy(body);
    let found = answers.iter().find(|(when, _)| body.contains(when));
    found.map_or_else(
        || Response {
            status: 404,
            ..Response::default()
        },
        |(_, response)| response.clone(),
    )
}
