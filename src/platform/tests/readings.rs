//! The list of export jobs, read whole: what [`crate::polling::Lists`] makes of pages.

use crate::{
    api::Target,
    decide::export::{Depth, Quality},
    polling::{ListReading, Lists},
};

use super::*;

/// Jobs as they stand in a list that pages by the documents' cursor, two to a page.
struct Jobs(Vec<(i64, i64)>);

/// A second in the middle of the list below.
const SECOND: i64 = 1_538_573_416;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(SECOND + second).unwrap()
}

impl Jobs {
    /// Ids, and the second at which each was created; newest first.
    fn of(jobs: &[(i64, i64)]) -> Self {
        Self(jobs.to_vec())
    }

    /// The page that this call asks for.
    fn page(&self, seen: &Seen) -> Value {
        let url = Url::parse(&format!("http://x{}", seen.target)).unwrap();
        let offset = url.query_pairs().find(|(name, _)| name == "offset");
        let after = |(id, second): &(i64, i64)| stamp(*id, *second);
        let start = offset.map_or(0, |(_, offset)| {
            let found = self.0.iter().position(|job| after(job) == offset);
            found.map_or(0, |found| found + 1)
        });
        let records: Vec<_> = self.0[start..].iter().take(2).collect();
        let more = self.0.len() > start + records.len();
        let last = records.last().filter(|_| more).map(|job| after(job));
        let next = last.map_or(String::new(), |last| {
            format!("/export/jobs/?limit=100&offset={last}")
        });
        json!({
            "records": records.iter().map(|(id, second)| record(*id, *second)).collect::<Vec<_>>(),
            "link": { "next": next },
        })
    }
}

fn stamp(id: i64, second: i64) -> String {
    format!("{}_{id}", (SECOND + second) * 1000)
}

fn record(id: i64, second: i64) -> Value {
    json!({ "id": id, "status": "NEW", "creationTime": (SECOND + second) * 1000 })
}

fn tenant() -> Target {
    Target {
        platform: "http://x".into(),
        organization_id: "ORG@AdobeOrg".into(),
        sandbox: "dev".into(),
        dataset_id: None,
    }
}

async fn reading(stub: &Stub, since: Timestamp) -> Arc<ListReading> {
    let lists = Lists::default();
    let platform = stub.platform();
    lists.read(&platform, &tenant(), since).await.unwrap()
}

fn ids(reading: &ListReading) -> Vec<&str> {
    reading.jobs.iter().map(|job| job.id.as_str()).collect()
}

const FIVE: [(i64, i64); 5] = [(5, 5), (4, 4), (3, 3), (2, 2), (1, 1)];

#[tokio::test]
async fn a_reading_goes_back_to_a_record_that_is_older_or_to_the_end() {
    let stub = Stub::start(|seen, _| Canned::json(&Jobs::of(&FIVE).page(seen))).await;
    let part = reading(&stub, at(4)).await;
    assert_eq!(
        (part.depth, part.quality),
        (Depth::To(at(3)), Quality::Clean)
    );
    assert_eq!(ids(&part), ["5", "4", "3"]);
    let whole = reading(&stub, at(-9)).await;
    assert_eq!((whole.depth, whole.quality), (Depth::End, Quality::Clean));
    assert_eq!(ids(&whole), ["5", "4", "3", "2", "1"], "none twice");
}

#[tokio::test]
async fn pages_overlap_by_a_record_so_that_a_list_that_moved_is_noticed() {
    let stub = Stub::start(|seen, _| Canned::json(&Jobs::of(&FIVE).page(seen))).await;
    reading(&stub, at(4)).await;
    let second = &stub.calls()[1].target;
    let before_the_last = format!("offset={}", stamp(5, 5));
    assert!(second.ends_with(&before_the_last), "{second}");
    // Job 4, the last record of the first page, goes while the list is read.
    let stub = Stub::start(|seen, calls| {
        let left: Vec<_> = FIVE.into_iter().filter(|job| job.0 != 4).collect();
        let jobs = if calls == 0 { &FIVE[..] } else { &left };
        Canned::json(&Jobs::of(jobs).page(seen))
    })
    .await;
    assert_eq!(reading(&stub, at(-9)).await.quality, Quality::Flawed);
}

#[tokio::test]
async fn a_cursor_that_counts_is_taken_one_back_and_another_form_as_it_is() {
    let asked = |offset: &'static str| async move {
        let stub = Stub::start(move |_, calls| {
            let next = format!("/export/jobs/?limit=100&offset={offset}");
            let next = if calls == 0 { next } else { String::new() };
            let records = [record(5, 5), record(4, 4)];
            Canned::json(&json!({ "records": records, "link": { "next": next } }))
        })
        .await;
        reading(&stub, at(-9)).await;
        let target = stub.calls()[1].target.clone();
        target.split("offset=").nth(1).unwrap().to_owned()
    };
    assert_eq!(asked("2").await, "1");
    assert_eq!(asked("opaque").await, "opaque");
}

#[tokio::test]
async fn a_record_that_cannot_be_read_or_dated_is_noticed() {
    let of = |record: Value| async move {
        let stub = Stub::always(200, json!({ "records": [record] }).to_string()).await;
        reading(&stub, at(0)).await.quality
    };
    assert_eq!(of(json!({ "status": "NEW" })).await, Quality::Flawed);
    assert_eq!(of(json!({ "id": 1 })).await, Quality::Flawed);
    let undated = json!({ "id": 1, "status": "NEW" });
    assert_eq!(of(undated).await, Quality::Undated);
}

#[tokio::test]
async fn a_page_that_fails_ends_the_reading() {
    let stub = Stub::start(|seen, calls| match calls {
        0 => Canned::json(&Jobs::of(&FIVE).page(seen)),
        _ => Canned::status(503),
    })
    .await;
    let lists = Lists::default();
    let result = lists.read(&stub.platform(), &tenant(), at(-9)).await;
    assert_eq!(result.unwrap_err().consequence(), Consequence::Retry);
}

#[tokio::test]
async fn one_reading_serves_all_who_asked_before_it_began() {
    let stub = Stub::start(|seen, _| Canned::json(&Jobs::of(&FIVE).page(seen))).await;
    let (lists, platform, tenant) = (Lists::default(), stub.platform(), tenant());
    let read = || lists.read(&platform, &tenant, at(4));
    // The first begins at once; the others wait, and one reading is for them all.
    tokio::join!(read(), read(), read(), read(), read())
        .0
        .unwrap();
    assert_eq!(stub.calls().len(), 2 * 2, "two readings of two pages");
    read().await.unwrap();
    assert_eq!(stub.calls().len(), 3 * 2, "an old one serves nobody");
    let began = tokio::time::Instant::now() - Duration::from_mins(1);
    let again = lists.read_after(&platform, &tenant, at(4), began);
    again.await.unwrap();
    assert_eq!(stub.calls().len(), 3 * 2, "unless it is new enough");
}
