//! What forms send: read beside what they were filled in with ([`Pipeline::parse_form`](crate::model::Pipeline::parse_form)).

use std::collections::BTreeMap;

use super::{Actor, Asked, Begin, Service, no_run};
use crate::model::{FormPrefill, Problem, Run};

/// What a form sends.
#[derive(Clone, Default)]
pub struct SentForm {
    /// The text of each field, by the parameter's name.
    pub fields: BTreeMap<String, String>,
    /// The names of its boxes, with commas between them.
    pub boxes: String,
}

impl Service {
    /// Asks for a new run with what the start form has.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_form(
        &self,
        pipeline: &str,
        form: SentForm,
        key: Option<&str>,
        by: &Actor,
    ) -> Result<(Run, bool), Problem> {
        let given = self.pipeline(pipeline)?.parse_form(form.fields, &form.boxes, FormPrefill::Defaults);
        self.start(pipeline, given, None, key, by).await
    }

    /// Asks for a new attempt with what the form of a re-run has, which was filled in with the values of the attempt `shown`. `seen`: the
    /// attempt that the asker saw end.
    ///
    /// # Errors
    /// As [`Self::rerun`], and if there is no attempt `shown`.
    pub async fn rerun_form(
        &self,
        id: &str,
        from: Begin,
        form: SentForm,
        shown: Option<u32>,
        seen: u32,
        by: &Actor,
    ) -> Result<Run, Problem> {
        let (key, _) = self.find(id).await?;
        let run = self.store.run(key).await?.ok_or_else(|| no_run(id))?;
        let shown = match shown.filter(|shown| *shown != run.attempt) {
            Some(attempt) => self.attempt_of(id, key, attempt).await?.params,
            None => run.params.clone(),
        };
        let filled = FormPrefill::Attempt { shown: &shown, last: &run.params };
        let given = self.pipeline(&run.pipeline)?.parse_form(form.fields, &form.boxes, filled);
        let asked = Asked { params: Some(given), seen: Some(seen), ..Asked::default() };
        self.rerun(id, from, asked, by).await
    }
}
