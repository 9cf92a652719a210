//! Secrets of runs that are asked for: those of an attempt are removed when its run ends, so a re-run needs them again.

use super::{Asked, Service};
use crate::model::{Param, ParamError, ParamInput, Params, Pipeline, Problem, Run};
use crate::store::{RunKey, StoredSecrets};

/// What a re-run is given, and what is missing in it.
pub(super) struct GivenAgain {
    pub(super) given: ParamInput,
    errors: Vec<ParamError>,
}

impl GivenAgain {
    /// The parameters, if nothing is missing.
    ///
    /// # Errors
    /// Those of `checked`, and one for each secret that has to be given again.
    pub(super) fn refuse(&self, checked: Result<Params, Vec<ParamError>>) -> Result<Params, Vec<ParamError>> {
        let (params, mut errors) = match checked {
            Ok(params) => (Some(params), Vec::new()),
            Err(errors) => (None, errors),
        };
        // That a secret is missing is said with its reason.
        errors.retain(|error| !self.errors.iter().any(|other| other.param == error.param));
        errors.extend(self.errors.iter().cloned());
        params.filter(|_| errors.is_empty()).ok_or(errors)
    }
}

impl Service {
    /// What a new attempt is given: what was asked for, or else what the attempt before had, and the secrets.
    ///
    /// # Errors
    /// The database's own.
    pub(super) async fn given_again(
        &self,
        key: RunKey,
        run: &Run,
        pipeline: &Pipeline,
        asked: &Asked,
    ) -> Result<GivenAgain, Problem> {
        let mut given = asked.params.clone().unwrap_or_else(|| {
            let value = |value| serde_json::to_value(value).unwrap_or_default();
            run.params.iter().map(|(name, param)| (name.clone(), value(param))).collect()
        });
        given.extend(asked.secrets.clone());
        let unknown = asked.secrets.keys().filter(|name| !pipeline.is_secret(name));
        let mut errors: Vec<ParamError> = unknown
            .map(|name| {
                ParamError::new(name, "unknown", format!("The pipeline {} has no secret `{name}`.", pipeline.name))
            })
            .collect();
        let StoredSecrets { removed, .. } = self.store.secrets(key).await?;
        let is_needed = |param: &&Param| {
            let had_one = asked.params.is_none() && removed.contains(&param.name);
            pipeline.is_secret(&param.name) && !given.contains_key(&param.name) && (param.required || had_one)
        };
        errors.extend(pipeline.params.iter().filter(is_needed).map(|param| {
            let message = format!(
                "{} is a secret, and secrets are removed when a run ends. Give it again, in Edit and re-run or as `secrets` of the request.",
                param.label()
            );
            ParamError::new(&param.name, "missing", message)
        }));
        Ok(GivenAgain { given, errors })
    }

    /// Whether a request that was answered before had the same secrets, as far as they are still there to be compared.
    ///
    /// # Errors
    /// The database's own.
    pub(super) async fn had_secrets(&self, key: RunKey, secrets: &crate::model::Secrets) -> Result<bool, Problem> {
        let StoredSecrets { values, removed } = self.store.secrets(key).await?;
        Ok(!removed.is_empty() || values == *secrets)
    }
}
