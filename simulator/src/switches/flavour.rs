//! The groups of answers: what one document says on every row at once.

use super::{
    Acceptance, BatchesShape, CancelLooksLike, ComputeGatewayAtNew, CreateStatus, DatasetKey,
    DatasetPrefix, DeleteFinished, DeleteMissing, DeleteReply, DeleteVerb, ErrorBodies,
    FOREVER_SECONDS, FailedBatchId, FileDescription, Flavour, IdShape, ListCursor, ListParameters,
    LocationHeader, NextLinkAtEnd, Organization, PatchTags, Places, Presence, ReadableStatus,
    RequestIdElsewhere, SegmentEcho, SegmentStatusDefault, SegmentStatusShape, Shown,
    StatusesShown, SucceededWithErrors, Switches, TimeUnit,
};

/// Takes every documented request, and answers as the newest documents do.
pub(super) fn combined() -> Switches {
    Switches {
        flavour: Flavour::Combined,
        file_description: FileDescription::Full,
        dataset_create_prefix: DatasetPrefix::DataSets,
        dataset_create_status: CreateStatus::Created,
        filter_in_request: Acceptance::Accepted,
        evaluation_in_request: Acceptance::Accepted,
        segment_status_default: SegmentStatusDefault::Realized,
        dataset_key_in_reply: DatasetKey::DatasetId,
        dataset_key_in_list: DatasetKey::DatasetId,
        batches_shape: BatchesShape::Array,
        push_job_and_dataset_write_time: Shown::SucceededOnly,
        profile_counters: Presence::Shown,
        compute_gateway_at_new: ComputeGatewayAtNew::Empty,
        list_parameters: ListParameters::Segmentation,
        delete_reply: DeleteReply::Empty,
        delete_verb: DeleteVerb::Delete,
        failed_batch_id: FailedBatchId::Empty,
        succeeded_with_errors: SucceededWithErrors::Never,
        org_id_in_reply: Organization::Real,
        statuses_shown: StatusesShown::WithProcessing,
        create_status: CreateStatus::Ok,
        fields_echo: Places::ALL,
        filter_echo: Places::ALL,
        additional_fields_echo: Places {
            post: true,
            get: false,
            list: false,
        },
        evaluation_echo: Presence::Absent,
        segment_echo: SegmentEcho::AsSent,
        request_id_echo: Places::ALL,
        id_shape: IdShape::Number,
        creation_time_unit: TimeUnit::Milliseconds,
        segment_status_shape: SegmentStatusShape::Array,
        job_location_header: Presence::Shown,
        dataset_location_header: LocationHeader::Location,
        next_link_at_end: NextLinkAtEnd::Empty,
        page_size_default: 100,
        page_size_maximum: 1000,
        list_lag_seconds: 0.0,
        get_lag_seconds: 0.0,
        tag_query_lag_seconds: 0.0,
        batch_readable_after_seconds: 0.0,
        batch_readable_status: ReadableStatus::Success,
        cancel_looks_like: CancelLooksLike::Cancelled,
        cancel_seconds: 2.0,
        delete_finished: DeleteFinished::Removes,
        export_error_bodies: ErrorBodies::Envelope,
        dataset_delete_missing: DeleteMissing::EmptyList,
        patch_tags: PatchTags::Replace,
        unknown_merge_policy: Acceptance::Accepted,
        request_id_elsewhere: RequestIdElsewhere::Another,
        list_cursor: ListCursor::CreationTimeAndId,
        jobs_kept_seconds: FOREVER_SECONDS,
        finished_kept_seconds: FOREVER_SECONDS,
    }
}

impl Switches {
    /// Sets the switches of rows 1 to 22 as one document has them; the others stay.
    pub(super) fn choose(&mut self, flavour: Flavour) {
        let rest = self.clone();
        let rows = match flavour {
            Flavour::Combined => combined(),
            Flavour::Profile => profile(),
            Flavour::Segmentation => segmentation(),
            Flavour::Openapi => openapi(),
        };
        *self = Self {
            request_id_echo: rest.request_id_echo,
            id_shape: rest.id_shape,
            creation_time_unit: rest.creation_time_unit,
            segment_status_shape: rest.segment_status_shape,
            job_location_header: rest.job_location_header,
            dataset_location_header: rest.dataset_location_header,
            next_link_at_end: rest.next_link_at_end,
            page_size_default: rest.page_size_default,
            page_size_maximum: rest.page_size_maximum,
            list_lag_seconds: rest.list_lag_seconds,
            get_lag_seconds: rest.get_lag_seconds,
            tag_query_lag_seconds: rest.tag_query_lag_seconds,
            batch_readable_after_seconds: rest.batch_readable_after_seconds,
            batch_readable_status: rest.batch_readable_status,
            cancel_looks_like: rest.cancel_looks_like,
            cancel_seconds: rest.cancel_seconds,
            delete_finished: rest.delete_finished,
            export_error_bodies: rest.export_error_bodies,
            dataset_delete_missing: rest.dataset_delete_missing,
            patch_tags: rest.patch_tags,
            unknown_merge_policy: rest.unknown_merge_policy,
            request_id_elsewhere: rest.request_id_elsewhere,
            list_cursor: rest.list_cursor,
            jobs_kept_seconds: rest.jobs_kept_seconds,
            finished_kept_seconds: rest.finished_kept_seconds,
            ..rows
        };
    }
}

fn profile() -> Switches {
    Switches {
        flavour: Flavour::Profile,
        dataset_create_prefix: DatasetPrefix::Datasets,
        filter_in_request: Acceptance::Refused,
        evaluation_in_request: Acceptance::Refused,
        dataset_key_in_reply: DatasetKey::DataSetId,
        profile_counters: Presence::Absent,
        list_parameters: ListParameters::Profile,
        delete_verb: DeleteVerb::DeleteAndPost,
        org_id_in_reply: Organization::FirstPlaceholder,
        statuses_shown: StatusesShown::Documents,
        fields_echo: Places::NONE,
        filter_echo: Places {
            post: false,
            get: false,
            list: true,
        },
        additional_fields_echo: Places::NONE,
        segment_echo: SegmentEcho::SegmentIdOnly,
        ..combined()
    }
}

fn segmentation() -> Switches {
    Switches {
        flavour: Flavour::Segmentation,
        file_description: FileDescription::Refused,
        dataset_key_in_reply: DatasetKey::DataSetIdWithBatches,
        push_job_and_dataset_write_time: Shown::Never,
        compute_gateway_at_new: ComputeGatewayAtNew::EmptyString,
        delete_reply: DeleteReply::WithBody,
        failed_batch_id: FailedBatchId::NonEmpty,
        succeeded_with_errors: SucceededWithErrors::Always,
        org_id_in_reply: Organization::SecondPlaceholder,
        statuses_shown: StatusesShown::Documents,
        ..combined()
    }
}

fn openapi() -> Switches {
    Switches {
        flavour: Flavour::Openapi,
        file_description: FileDescription::FormatOnly,
        evaluation_in_request: Acceptance::Refused,
        segment_status_default: SegmentStatusDefault::RealizedAndExisting,
        batches_shape: BatchesShape::Object,
        push_job_and_dataset_write_time: Shown::Always,
        profile_counters: Presence::Absent,
        compute_gateway_at_new: ComputeGatewayAtNew::Object,
        delete_reply: DeleteReply::Ok,
        failed_batch_id: FailedBatchId::NonEmpty,
        additional_fields_echo: Places::ALL,
        ..combined()
    }
}
