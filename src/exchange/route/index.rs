//! Finds the few routes that may be for a path, however many there are.

use std::collections::BTreeMap;

/// A tree of path segments. Each route stands where the literal segments at the beginning of its
/// path end; one without any, such as a regular expression, stands at the root. A path that fits a
/// route begins with those segments, so every route that can fit is on the path's way down.
#[derive(Debug, Default)]
pub struct PathIndex {
    /// Places of routes, in order.
    here: Vec<usize>,
    below: BTreeMap<Box<str>, PathIndex>,
}

/// Places of routes in order, each once.
#[derive(Debug)]
pub struct Candidates<'i> {
    /// Ascending lists, one for each step of the way.
    lists: Vec<&'i [usize]>,
}

/// How far down the tree goes.
const DEPTH: usize = 16;

impl PathIndex {
    /// Of the literal segments that paths of each route begin with, in the order of the routes.
    pub fn new<'s, S: Iterator<Item = &'s str>>(routes: impl Iterator<Item = S>) -> Self {
        let mut root = Self::default();
        for (place, segments) in routes.enumerate() {
            let mut node = &mut root;
            for segment in segments.take(DEPTH) {
                node = node.below.entry(segment.into()).or_default();
            }
            node.here.push(place);
        }
        root
    }

    /// The routes that may be for a path in its one spelling. Every other one is not.
    pub fn candidates(&self, path: &str) -> Candidates<'_> {
        let lists = self.lists(path).filter(|list| !list.is_empty());
        Candidates {
            lists: lists.collect(),
        }
    }

    /// The same, as ascending lists, one for each step of the way.
    #[inline]
    pub fn lists<'i>(&'i self, path: &str) -> impl Iterator<Item = &'i [usize]> {
        let mut node = Some(self);
        let mut segments = path.split('/').skip(1);
        std::iter::from_fn(move || {
            let PathIndex { here, below } = node?;
            node = match below.is_empty() {
                true => None,
                false => segments.next().and_then(|segment| below.get(segment)),
            };
            Some(here.as_slice())
        })
    }
}

impl Iterator for Candidates<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let heads = self.lists.iter_mut().filter(|list| !list.is_empty());
        let list = heads.min_by_key(|list| list.first().copied())?;
        let (first, rest) = list.split_first()?;
        *list = rest;
        Some(*first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Request;
    use crate::route::RequestMatcher;
    use crate::target::{Authority, LetterCase, Target};
    use portcullis_document::{Node, Problems};
    use portcullis_wire::headers::Headers;
    use portcullis_wire::json::Json;

    #[test]
    fn candidates_come_in_order_from_every_step() {
        let routes: [&[&str]; 7] = [
            &["a", "b"],
            &[],
            &["a"],
            &["a", "b", "c"],
            &["x"],
            &["a", ""],
            &[],
        ];
        let index = PathIndex::new(routes.iter().map(|segments| segments.iter().copied()));
        for (path, expected) in [
            ("/", &[1, 6][..]),
            ("/a", &[1, 2, 6]),
            ("/a/", &[1, 2, 5, 6]),
            ("/a/b", &[0, 1, 2, 6]),
            ("/a/b/c/d", &[0, 1, 2, 3, 6]),
            ("/ab", &[1, 6]),
            ("/x/b", &[1, 4, 6]),
        ] {
            let found: Vec<usize> = index.candidates(path).collect();
            assert_eq!(found, expected, "{path}");
        }
    }

    /// A matcher that the index has to serve, of every kind of path.
    fn matcher(number: usize) -> RequestMatcher {
        const PATHS: [&str; 9] = [
            "/", "/a", "/a/", "/a/b", "/b", "/ab", "/a/b/c", "/b/a/", "/a/a",
        ];
        let path = PATHS[number % PATHS.len()];
        let condition = match number / PATHS.len() % 5 {
            0 => format!(r#"{{"exact": "{path}"}}"#),
            1 => format!(r#"{{"prefix": "{path}"}}"#),
            2 => format!(r#"{{"regex": "{path}.*"}}"#),
            3 => format!(r#"{{"template": "{}/{{x}}"}}"#, path.trim_end_matches('/')),
            _ => format!(
                r#"{{"template": "{}/{{x}}/b"}}"#,
                path.trim_end_matches('/')
            ),
        };
        let text = match number % 11 {
            10 => "{}".to_owned(),
            _ => format!(r#"{{"path": {condition}}}"#),
        };
        let json = Json::parse(text.as_bytes(), 8).unwrap();
        let mut problems = Problems::default();
        let matcher =
            RequestMatcher::read(&Node::root(&json), LetterCase::Significant, &mut problems);
        problems.into_result(matcher).unwrap()
    }

    #[test]
    fn no_route_is_missed() {
        const PARTS: [&str; 6] = ["", "a", "b", "c", "ab", "aa"];
        let matchers: Vec<RequestMatcher> = (0..500).map(matcher).collect();
        let segments = matchers.iter().map(RequestMatcher::first_segments);
        let index = PathIndex::new(segments.map(Vec::into_iter));
        let mut fits = 0;
        for number in 0..6_usize.pow(4) {
            let parts = (0..4).map(|place| PARTS[number / 6_usize.pow(place) % 6]);
            let path = parts.fold(String::new(), |path, part| path + "/" + part);
            let Ok(target) = Target::parse(path.as_bytes()) else {
                continue;
            };
            let mut headers = Headers::default();
            headers.push(b":path", path.as_bytes());
            let request = Request {
                headers: &headers,
                authority: &Authority::default(),
                target: &target,
                effort: &portcullis_wire::regex::Effort::new(1_000_000),
            };
            let is_for = |place: &usize| matchers[*place].matches(&request) == Ok(true);
            let slow: Vec<usize> = (0..matchers.len()).filter(is_for).collect();
            let quick: Vec<usize> = index.candidates(target.path()).filter(is_for).collect();
            assert_eq!(quick, slow, "{path}");
            fits += slow.len();
        }
        assert!(fits > 10_000, "{fits}");
    }

    #[test]
    fn deep_paths_are_found() {
        let deep = "/a".repeat(40);
        let segments = |path: &'static str| path.split('/').skip(1);
        let paths = [&*deep.clone().leak(), "/a"];
        let index = PathIndex::new(paths.into_iter().map(segments));
        assert_eq!(index.candidates(&deep).collect::<Vec<_>>(), [0, 1]);
    }
}
