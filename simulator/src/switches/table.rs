//! The table of the switches: what `--help` prints, and what the tests hold against the types.

use std::fmt::Write as _;

use super::Switches;

/// What values a switch takes.
pub(crate) enum Values {
    /// One of these JSON texts.
    OneOf(&'static [&'static str]),
    /// One of these numbers.
    Numbers(&'static [u16]),
    /// `{"post": bool, "get": bool, "list": bool}`, each optional.
    Places,
    /// Seconds, as a number.
    Seconds,
    /// A whole number from 1.
    Count,
}

/// One switch.
pub(crate) struct Entry {
    /// Its key.
    pub(crate) name: &'static str,
    /// The row of the table of discrepancies that it stands for; 0 is none.
    pub(crate) row: u8,
    /// What it takes.
    pub(crate) values: Values,
    /// What it does, and which document says what.
    pub(crate) meaning: &'static str,
}

const fn one(
    row: u8,
    name: &'static str,
    values: &'static [&'static str],
    meaning: &'static str,
) -> Entry {
    Entry {
        name,
        row,
        values: Values::OneOf(values),
        meaning,
    }
}

const fn entry(row: u8, name: &'static str, values: Values, meaning: &'static str) -> Entry {
    Entry {
        name,
        row,
        values,
        meaning,
    }
}

/// Every switch, in the order of the rows: S000 to S004 are the five guides (S001 is the
/// Segmentation guide, the others are Profile guides), `OpenAPI` is the Segmentation specification.
pub(crate) const TABLE: &[Entry] = &[
    one(
        1,
        "flavour",
        &["combined", "profile", "segmentation", "openapi"],
        "sets rows 2 to 22 as one document has them (combined: every documented request is taken); \
         other switches of the same PUT come after it",
    ),
    one(
        2,
        "fileDescription",
        &["full", "formatOnly", "refused"],
        "in a dataset request: format, persisted and containerFormat (S000, S003), only the \
         Catalog's own keys (OpenAPI), none (S001, S002, S004)",
    ),
    one(
        3,
        "datasetCreatePrefix",
        &["@/dataSets", "@/datasets"],
        "the id in the reply to a dataset request (OpenAPI; S000, S002 to S004)",
    ),
    entry(
        3,
        "datasetCreateStatus",
        Values::Numbers(&[200, 201, 202]),
        "the status of that reply (OpenAPI: 201; the guides name none)",
    ),
    one(
        4,
        "filterInRequest",
        &["accepted", "refused"],
        "the export request's filter (S001, OpenAPI; not in S000, S002 to S004)",
    ),
    one(
        5,
        "evaluationInRequest",
        &["accepted", "refused"],
        "its toIngestTimestamp and evaluationInfo (S001; in no other)",
    ),
    one(
        6,
        "segmentStatusDefault",
        &["realized", "realizedAndExisting"],
        "the meaning of a segment without status, shown in batches and in segmentEcho \
         withDefaults (S001; OpenAPI)",
    ),
    one(
        7,
        "datasetKeyInReply",
        &["datasetId", "dataSetId", "dataSetIdWithBatches"],
        "the dataset's key in the replies to POST and GET (OpenAPI; S000, S002 to S004; S001, \
         where only a destination with batches says dataSetId)",
    ),
    one(
        8,
        "datasetKeyInList",
        &["datasetId", "dataSetId", "dataSetIdWithBatches"],
        "the same in the list (all documents: datasetId)",
    ),
    one(
        9,
        "batchesShape",
        &["array", "object"],
        "destination.batches of a job with segmentPerBatch (S001; OpenAPI: the first batch alone)",
    ),
    one(
        10,
        "pushJobAndDatasetWriteTime",
        &["succeededOnly", "never", "always"],
        "when pushJob and aCPDatasetWriteTime are there (S000, S002 to S004; S001; OpenAPI: as \
         soon as the job runs, and on failed ones)",
    ),
    one(
        11,
        "profileCounters",
        &["shown", "absent"],
        "totalExportedProfileCounter and exportedProfileByNamespaceCounter (S001; in no other)",
    ),
    one(
        12,
        "computeGatewayAtNew",
        &["empty", "emptyString", "object"],
        "computeGatewayJobId of a NEW job: {} (S000, S002 to S004), {\"exportJob\":\"\"} (S001), \
         ids at once (OpenAPI)",
    ),
    one(
        13,
        "listParameters",
        &["segmentation", "profile"],
        "limit, offset, status (S001, OpenAPI), or limit, offset, start, page, sort (S000, S002 \
         to S004); others are refused",
    ),
    one(
        14,
        "deleteReply",
        &["204", "204WithBody", "200WithBody"],
        "a cancel's answer: empty (S000, S002 to S004), 204 whose body HTTP drops (S001), 200 \
         with JSON (OpenAPI)",
    ),
    one(
        15,
        "deleteVerb",
        &["delete", "deleteAndPost"],
        "whether POST /export/jobs/{id} cancels too, as the cURL samples of S000 and S002 to S004 \
         have it",
    ),
    one(
        16,
        "failedBatchId",
        &["empty", "nonEmpty"],
        "batchId of a FAILED job: \"\" (S000, S002 to S004), the batch's id (S001)",
    ),
    one(
        17,
        "succeededWithErrors",
        &["never", "always"],
        "whether SUCCEEDED jobs carry errors (S001: one does)",
    ),
    one(
        18,
        "orgIdInReply",
        &["real", "imsOrg", "orgId", "absent"],
        "imsOrgId: the organisation (S001's list), the placeholders {IMS_ORG} (S000, S003) and \
         {ORG_ID} (S001, S002, S004), or no such key",
    ),
    one(
        19,
        "statusesShown",
        &["withProcessing", "documents"],
        "PROCESSING is shown (OpenAPI), or such jobs are still NEW (all guides)",
    ),
    entry(
        20,
        "createStatus",
        Values::Numbers(&[200, 201, 202]),
        "the status of the reply to an export request (S001, OpenAPI: 200; the others name none)",
    ),
    entry(
        21,
        "fieldsEcho",
        Values::Places,
        "where fields come back (S001: all; the others: none)",
    ),
    entry(
        21,
        "filterEcho",
        Values::Places,
        "where filter comes back (S001: all; S000, S002 to S004: list)",
    ),
    entry(
        21,
        "additionalFieldsEcho",
        Values::Places,
        "where additionalFields come back (S001: post; OpenAPI: all; the others: none)",
    ),
    one(
        21,
        "evaluationEcho",
        &["absent", "shown"],
        "whether toIngestTimestamp and evaluationInfo come back (no document shows it)",
    ),
    one(
        22,
        "segmentEcho",
        &["asSent", "withDefaults", "segmentIdOnly"],
        "filter.segments in replies: as sent, with segmentNs and status filled in (S001), ids \
         alone (S000, S002 to S004)",
    ),
    entry(
        0,
        "requestIdEcho",
        Values::Places,
        "where requestId is the call's X-Request-Id; elsewhere it is what requestIdElsewhere says",
    ),
    one(
        0,
        "idShape",
        &["number", "string", "float"],
        "the JSON type of a job's id",
    ),
    one(
        0,
        "creationTimeUnit",
        &["ms", "s", "absent"],
        "the unit of creationTime and updateTime",
    ),
    one(
        0,
        "segmentStatusShape",
        &["array", "string", "mixed"],
        "batches[].status; mixed turns from array to string after the first, as in S001",
    ),
    one(
        0,
        "jobLocationHeader",
        &["shown", "absent"],
        "X-Location of a new job",
    ),
    one(
        0,
        "datasetLocationHeader",
        &["location", "xLocation", "absent"],
        "the header of a new dataset",
    ),
    one(
        0,
        "nextLinkAtEnd",
        &["empty", "absent", "null", "noLinkObject"],
        "link.next on the last page",
    ),
    entry(
        0,
        "pageSizeDefault",
        Values::Count,
        "limit of the job list where none is given",
    ),
    entry(
        0,
        "pageSizeMaximum",
        Values::Count,
        "the largest limit; more is refused",
    ),
    entry(
        0,
        "listLagSeconds",
        Values::Seconds,
        "a new job is not in the list for so long",
    ),
    entry(
        0,
        "getLagSeconds",
        Values::Seconds,
        "GET of a new job is 404 for so long",
    ),
    entry(
        0,
        "tagQueryLagSeconds",
        Values::Seconds,
        "tag queries see new tags so much later",
    ),
    entry(
        0,
        "batchReadableAfterSeconds",
        Values::Seconds,
        "from SUCCEEDED to a readable batch, on the clock of the jobs",
    ),
    one(
        0,
        "batchReadableStatus",
        &["success", "active"],
        "the status of a readable batch",
    ),
    one(
        0,
        "cancelLooksLike",
        &["cancelled", "failed", "absent", "ignored"],
        "CANCELLING, then CANCELLED; no change, then FAILED; no change, then 404; no change at all",
    ),
    entry(
        0,
        "cancelSeconds",
        Values::Seconds,
        "from DELETE to the end of the job, on the clock of the jobs",
    ),
    one(
        0,
        "deleteFinished",
        &["removes", "keeps", "refuses"],
        "DELETE of a finished job: 404 from then on; no change; 404 at once",
    ),
    one(
        0,
        "exportErrorBodies",
        &["envelope", "empty"],
        "errors of the export API with a body, or without (OpenAPI)",
    ),
    one(
        0,
        "datasetDeleteMissing",
        &["emptyList", "notFound"],
        "DELETE of an unknown dataset: 200 with [], or 404",
    ),
    one(
        0,
        "patchTags",
        &["replace", "merge"],
        "tags in PATCH /dataSets/{id} as application/json",
    ),
    one(
        0,
        "unknownMergePolicy",
        &["accepted", "refused"],
        "an export request with a merge policy that is not among GET /config/mergePolicies",
    ),
];

/// The switches for a tenant that misbehaves for as long as they are set; no document has them.
pub(crate) const LASTING: &[Entry] = &[
    one(
        0,
        "requestIdElsewhere",
        &["another", "absent"],
        "requestId where requestIdEcho does not give back the call's: another id, the same for all \
         of a job's replies, or no such key",
    ),
    one(
        0,
        "listCursor",
        &["creationTimeAndId", "number"],
        "the cursor in link.next: of the last record, so that pages hold their place, or the \
         number of records before the page, so that records shift when jobs come and go",
    ),
    entry(
        0,
        "jobsKeptSeconds",
        Values::Seconds,
        "a job is 404 and not in the list so long after its creation, on the tenant's own clock; the \
         default is never",
    ),
    entry(
        0,
        "finishedKeptSeconds",
        Values::Seconds,
        "a job is 404 and not in the list so long after its end, on the tenant's own clock; the \
         default is never",
    ),
];

/// The table of the switches as text, one per paragraph.
pub(crate) fn help() -> String {
    text(TABLE)
}

/// The table of the lasting faults as text.
pub(crate) fn lasting_help() -> String {
    text(LASTING)
}

fn text(table: &[Entry]) -> String {
    let defaults = serde_json::to_value(Switches::default()).unwrap_or_default();
    let mut text = String::new();
    for entry in table {
        let values = match entry.values {
            Values::OneOf(values) => values.join(" | "),
            Values::Numbers(values) => values
                .iter()
                .map(u16::to_string)
                .collect::<Vec<_>>()
                .join(" | "),
            Values::Places => "{\"post\": bool, \"get\": bool, \"list\": bool}".to_owned(),
            Values::Seconds => "seconds".to_owned(),
            Values::Count => "count".to_owned(),
        };
        let default = match &defaults[entry.name] {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let row = if entry.row == 0 {
            String::new()
        } else {
            format!("  (row {})", entry.row)
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {}: {values}{row}", entry.name);
        wrap(&mut text, &format!("default {default}. {}", entry.meaning));
    }
    text
}

/// Writes words in lines of up to 92 columns, six columns in.
fn wrap(text: &mut String, words: &str) {
    let mut column = 0;
    for word in words.split_whitespace() {
        if column == 0 || column + 1 + word.len() > 92 {
            text.push_str(if column == 0 { "      " } else { "\n      " });
            column = 6;
        } else {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += word.len();
    }
    text.push('\n');
}
