//! Which versions the requests have that something is for.

use std::cell::RefCell;
use std::rc::Rc;

use portcullis_document::Node;
use portcullis_exchange::section::{Finishing, Section};
use portcullis_exchange::versions::VersionScheme;
use portcullis_wire::json::Json;

use super::Versions;

/// How requests of some routes name versions: as the document says, or as the APIs of the routes do.
#[derive(Debug, Default)]
pub(crate) struct VersionSchemes(RefCell<Vec<Rc<VersionScheme>>>);

impl VersionSchemes {
    /// Takes up how requests of one more route name versions.
    pub(crate) fn meet(&self, scheme: &Rc<VersionScheme>) {
        if let Ok(mut all) = self.0.try_borrow_mut()
            && !all.iter().any(|each| Rc::ptr_eq(each, scheme))
        {
            all.push(Rc::clone(scheme));
        }
    }

    /// The names of the versions on the routes of `placed`; without it, of all that the document has.
    ///
    /// # Errors
    /// Why no request there has a version.
    pub(crate) fn known(
        placed: Option<&Self>,
        finishing: &Finishing<'_>,
    ) -> Result<Vec<Box<str>>, &'static str> {
        let all = written(finishing.document);
        if all.is_empty() {
            return Err(
                "no request has a version: say in `versions` of the document, or of an API, where requests name one",
            );
        }
        let Some(placed) = placed else {
            return Ok(all);
        };
        let Ok(schemes) = placed.0.try_borrow() else {
            return Ok(all);
        };
        match schemes.as_slice() {
            // What was wrong may be how versions are named.
            [] if !finishing.is_whole => Ok(all),
            [] => Err(
                "no request has a version on the routes that this stands on: they say `versions: \"off\"`, or neither the document nor their API has `versions`",
            ),
            schemes => {
                let names = schemes.iter().flat_map(|scheme| scheme.names());
                Ok(names.map(Box::from).collect())
            }
        }
    }
}

/// The names of all versions that a document has, in itself or in an API, as they are written.
fn written(document: &Node<'_>) -> Vec<Box<str>> {
    fn of(json: &Json) -> impl Iterator<Item = Box<str>> {
        let known = json.step(Versions::NAME).and_then(|all| all.step("known"));
        let known = known.and_then(Json::as_object);
        let known = known.into_iter().flat_map(|known| known.iter());
        known.map(|(name, _)| Box::from(name))
    }
    let apis = document.json().step("apis").and_then(Json::as_object);
    let apis = apis.into_iter().flat_map(|apis| apis.iter());
    let of_apis = apis.flat_map(|(_, api)| of(api));
    of(document.json()).chain(of_apis).collect()
}
