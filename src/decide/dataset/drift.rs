//! How a dataset in the Catalog differs from what its object asks for, and what mends it.

use serde_json::{Value, json};

use super::{
    super::{Cause, request::Owner},
    facts::{Effort, Facts, Own},
    plan::{Plan, Situation},
    trouble,
};
use crate::{
    api::{DatasetTemplate, ManagementPolicy, OWNER_TAG, Reason, SchemaRef, TagValues},
    platform::{Dataset, PatchOperation},
};

/// A difference between what is wanted and what there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where.
    pub field: Field,
    /// What is wanted: one value, but of a tag.
    pub wanted: Vec<String>,
    /// What there is; none: nothing.
    pub found: Option<Vec<String>>,
}

/// What can be changed of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// Its name.
    Name,
    /// Its description.
    Description,
    /// One of its tags.
    Tag(String),
}

impl Field {
    /// Its name, as the spec has it.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Name => "name".to_owned(),
            Self::Description => "description".to_owned(),
            Self::Tag(tag) => format!("tags.{tag}"),
        }
    }
}

impl Difference {
    /// What ends it. `add` puts a value in place of one that is there (RFC 6902, section 4.1), and
    /// leaves all else as it is: what the Catalog makes of a partial object is not documented.
    #[must_use]
    pub fn operation(&self) -> PatchOperation {
        let one = || self.wanted.first().cloned().unwrap_or_default();
        match &self.field {
            Field::Name => PatchOperation::Add("/name".to_owned(), Value::from(one())),
            Field::Description => {
                PatchOperation::Add("/description".to_owned(), Value::from(one()))
            }
            Field::Tag(tag) => tag_operation(tag, json!(self.wanted)),
        }
    }
}

/// What makes a dataset ours.
#[must_use]
pub fn take_over(own: &Owner) -> Vec<PatchOperation> {
    own.tags()
        .into_iter()
        .map(|(tag, value)| tag_operation(tag, json!([value])))
        .collect()
}

fn tag_operation(tag: &str, values: Value) -> PatchOperation {
    // A JSON Pointer (RFC 6901).
    let tag = tag.replace('~', "~0").replace('/', "~1");
    PatchOperation::Add(format!("/tags/{tag}"), values)
}

/// What of a dataset differs from the spec. What the spec does not name is not looked at.
fn of_spec(template: &DatasetTemplate, found: &Dataset) -> Vec<Difference> {
    let DatasetTemplate {
        name,
        description,
        schema_ref: _,
        file_description: _,
        tags,
        enable_error_diagnostics: _,
    } = template;
    let text = |field, wanted: &String, found: Option<&String>| {
        (found != Some(wanted)).then(|| Difference {
            field,
            wanted: vec![wanted.clone()],
            found: found.map(|found| vec![found.clone()]),
        })
    };
    let description = description
        .as_ref()
        .and_then(|wanted| text(Field::Description, wanted, found.description.as_ref()));
    let tags = tags.iter().flatten();
    text(Field::Name, name, found.name.as_ref())
        .into_iter()
        .chain(description)
        .chain(tags.filter_map(|(key, TagValues(wanted))| of_tag(key, wanted, found)))
        .collect()
}

fn of_tag(key: &str, wanted: &[String], found: &Dataset) -> Option<Difference> {
    let there = found.tags.get(key);
    let sorted = |values: &[String]| {
        let mut values = values.to_vec();
        values.sort();
        values
    };
    let same = there.is_some_and(|there| sorted(there) == sorted(wanted));
    (!same).then(|| Difference {
        field: Field::Tag(key.to_owned()),
        wanted: wanted.to_vec(),
        found: there.cloned(),
    })
}

/// A dataset of ours that is on the right schema.
pub(super) fn keep(facts: &Facts, own: &Own, found: &Dataset) -> Plan {
    let mut differences = of_spec(&own.template, found);
    match own.management {
        ManagementPolicy::Observe => {
            return Plan::Rest(Situation::Available(found.clone(), differences));
        }
        ManagementPolicy::Manage => {}
    }
    let own_tags = own.owner.tags().into_iter();
    differences.extend(own_tags.filter_map(|(tag, value)| of_tag(tag, &[value.to_owned()], found)));
    if differences.is_empty() {
        return Plan::Rest(Situation::Available(found.clone(), differences));
    }
    let cause = match (&facts.effort, &facts.pause) {
        (Effort::None, None) => return Plan::Mend(found.clone(), differences),
        (Effort::None, Some(pause)) if pause.until > facts.now => pause.cause.clone(),
        (Effort::None, Some(_)) => return Plan::Mend(found.clone(), differences),
        (Effort::Answered, _) => Cause::new(
            Reason::Mending,
            format!(
                "the Catalog was asked to change {} of dataset {}, and does not show it; it is \
                 asked again",
                names(&differences),
                found.id
            ),
        ),
        (Effort::Failed(failure), _) => {
            let Cause { reason, message } = trouble(failure);
            let what = names(&differences);
            Cause::new(reason, format!("{what} cannot be mended yet: {message}"))
        }
    };
    Plan::Rest(Situation::Mending(found.clone(), differences, cause))
}

/// The names of what differs, for a message.
#[must_use]
pub fn names(differences: &[Difference]) -> String {
    let names: Vec<String> = differences
        .iter()
        .take(10)
        .map(|difference| difference.field.name())
        .collect();
    names.join(", ")
}

/// Whether a dataset of ours is on the schema that its object asks for. A schema cannot be changed.
pub(super) fn schema(template: &DatasetTemplate, found: &Dataset) -> Result<(), Cause> {
    super::judge(found)?;
    let wanted = template.schema_ref.as_ref();
    let wanted = wanted.and_then(
        |SchemaRef {
             id: _,
             content_type,
         }| content_type.as_deref(),
    );
    // Media types do not tell capitals from small letters, and may have spaces between their parts.
    let plain = |text: &str| text.to_ascii_lowercase().replace(' ', "");
    match (wanted, found.schema_content_type.as_deref()) {
        (Some(wanted), Some(there)) if plain(wanted) != plain(there) => Err(Cause::new(
            Reason::SchemaDiffers,
            format!(
                "dataset {} is on the schema as {there}, the spec asks for {wanted}; a dataset's \
                 schema cannot be changed: delete this object and create it with the schemaRef of \
                 the dataset, or under another name for another dataset",
                found.id
            ),
        )),
        (Some(_) | None, Some(_) | None) => Ok(()),
    }
}

/// What is said of a dataset that nobody's tag claims.
pub(super) fn untagged(own: &Own, found: &Dataset) -> Cause {
    Cause::new(
        Reason::OwnerTagMissing,
        format!(
            "dataset {} no longer says whose it is, so nothing is written to it: put the tag \
             {OWNER_TAG} with the value {} back in the Catalog, or delete this object",
            found.id, own.owner.path
        ),
    )
}
