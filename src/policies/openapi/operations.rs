//! Which operation a request is, for policies that are for some of them.

use std::fmt;

use portcullis_exchange::exchange::{ApiOperations, Request, UntoldOperation};
use portcullis_exchange::target::fold_case;
use portcullis_wire::effort::TooCostly;

use super::{OpenApi, Operation, Path};

impl OpenApi {
    /// Whether a path stands for one of those that are called so; one that is folded is compared with folded
    /// templates.
    fn stands_for(
        &self,
        (path, any_case): (&str, bool),
        request: &Request<'_>,
        names: &[Box<str>],
    ) -> Result<bool, UntoldOperation> {
        let inner = match any_case {
            true => path.strip_prefix(fold_case(&self.base).as_str()),
            false => path.strip_prefix(self.base.as_str()),
        };
        let Some(inner) = inner.and_then(|inner| inner.strip_prefix('/')) else {
            return Ok(false);
        };
        let segments: Vec<&str> = inner.split('/').collect();
        let mut fitting = self.paths.iter().filter(|path| {
            let template = if any_case {
                &path.folded
            } else {
                &path.template
            };
            template.values(&segments).is_some()
        });
        let Some(first) = fitting.next() else {
            return Ok(false);
        };
        let own = first.called(request.method())?;
        let holds = own.is_some_and(|own| own.is_one_of(names));
        for other in fitting {
            // Where a path has not the method, a server may go on to the next.
            if own.is_some() && first.template.says_more(&other.template) {
                continue;
            }
            let Some(other) = other.called(request.method())? else {
                continue;
            };
            let price = names.len() as u64;
            let is_paid = request.effort.spend(price);
            is_paid.map_err(|TooCostly| UntoldOperation::Effort)?;
            if other.is_one_of(names) != holds {
                return Err(UntoldOperation::Path);
            }
        }
        Ok(holds)
    }

    fn all(&self) -> impl Iterator<Item = &Operation> {
        self.paths.iter().flat_map(|path| &path.operations)
    }
}

impl Path {
    /// The operation of a method, if there is one.
    fn called(&self, method: &str) -> Result<Option<&Operation>, UntoldOperation> {
        let mut operations = self.operations.iter();
        if let Some(own) = operations.find(|each| each.method == method) {
            return Ok(Some(own));
        }
        let is_alike = |each: &Operation| each.method.eq_ignore_ascii_case(method);
        match self.operations.iter().any(is_alike) {
            true => Err(UntoldOperation::Method),
            false => Ok(None),
        }
    }
}

impl Operation {
    fn is_one_of(&self, names: &[Box<str>]) -> bool {
        let is_called = |name: &str| *self.name == *name || self.id.as_deref() == Some(name);
        names.iter().any(|name| is_called(name))
    }
}

impl ApiOperations for OpenApi {
    fn is_one_of(
        &self,
        request: &Request<'_>,
        names: &[Box<str>],
    ) -> Result<bool, UntoldOperation> {
        let mut found = request
            .target
            .readings()
            .map(|reading| self.stands_for(reading, request, names));
        let first = found.next().unwrap_or(Ok(false))?;
        match found.all(|other| other == Ok(first)) {
            true => Ok(first),
            false => Err(UntoldOperation::Path),
        }
    }

    fn names(&self) -> Vec<&str> {
        let ids = self.all().filter_map(|operation| operation.id.as_deref());
        let names = self.all().map(|operation| &*operation.name);
        ids.chain(names).collect()
    }

    fn count(&self) -> usize {
        self.all().count()
    }
}

impl fmt::Debug for OpenApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenApi({} operations)", self.count())
    }
}
