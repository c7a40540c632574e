//! Which operation a request is, for policies that are for some of them.

use std::fmt;

use portcullis_exchange::exchange::{ApiOperations, OperationIndex, Request, UntoldOperation};
use portcullis_exchange::target::fold_case;

use super::{OpenApi, Operation};

impl OpenApi {
    /// The operation of a path; one that is folded is compared with folded templates.
    fn place(
        &self,
        path: &str,
        any_case: bool,
        method: &str,
    ) -> Result<Option<OperationIndex>, UntoldOperation> {
        let inner = match any_case {
            true => path.strip_prefix(fold_case(&self.base).as_str()),
            false => path.strip_prefix(self.base.as_str()),
        };
        let Some(inner) = inner.and_then(|inner| inner.strip_prefix('/')) else {
            return Ok(None);
        };
        let segments: Vec<&str> = inner.split('/').collect();
        let mut paths = self.paths.iter().enumerate();
        let found = paths.find(|(_, path)| {
            let template = if any_case {
                &path.folded
            } else {
                &path.template
            };
            template.values(&segments).is_some()
        });
        let Some((at, path)) = found else {
            return Ok(None);
        };
        let is_alike = |each: &Operation| each.method.eq_ignore_ascii_case(method);
        match path.position(method) {
            Some(operation) => Ok(Some((at, operation))),
            None if path.operations.iter().any(is_alike) => Err(UntoldOperation::Method),
            None => Ok(None),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Operation> {
        self.paths.iter().flat_map(|path| &path.operations)
    }
}

impl ApiOperations for OpenApi {
    fn of(&self, request: &Request<'_>) -> Result<Option<OperationIndex>, UntoldOperation> {
        let mut found = request
            .target
            .readings()
            .map(|(path, any_case)| self.place(path, any_case, request.method()));
        let first = found.next().unwrap_or(Ok(None))?;
        match found.all(|other| other == Ok(first)) {
            true => Ok(first),
            false => Err(UntoldOperation::Path),
        }
    }

    fn is_called(&self, operation: OperationIndex, name: &str) -> bool {
        let operation = self.operation(operation);
        operation.is_some_and(|operation| {
            *operation.name == *name || operation.id.as_deref() == Some(name)
        })
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
