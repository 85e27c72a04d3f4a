//! What the tenant answers, and the envelopes of its errors.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::{HeaderValue, Response, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

/// An answer, before it becomes HTTP.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Vec<u8>,
    /// Whether the call changed the tenant.
    pub(crate) effect: bool,
}

impl Reply {
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            effect: false,
        }
    }

    pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(body) => Self {
                body,
                ..Self::empty(status)
            }
            .with(CONTENT_TYPE, HeaderValue::from_static("application/json")),
            Err(error) => Self {
                body: error.to_string().into_bytes(),
                ..Self::empty(StatusCode::INTERNAL_SERVER_ERROR)
            },
        }
    }

    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Adds a header whose value is text of ours; text that no header can carry is left out.
    pub(crate) fn with_text(self, name: HeaderName, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => self.with(name, value),
            Err(_) => self,
        }
    }

    /// Adds a header unless the answer has it already.
    pub(crate) fn or_with(self, name: HeaderName, value: &str) -> Self {
        if self.headers.iter().any(|(known, _)| *known == name) {
            return self;
        }
        self.with_text(name, value)
    }

    pub(crate) fn effective(mut self) -> Self {
        self.effect = true;
        self
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        // HTTP drops the content of a 204, and must not announce its length either.
        let body = match self.status {
            StatusCode::NO_CONTENT => Body::empty(),
            _ => Body::from(self.body),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }
        response
    }
}

/// The gateway's own error: six digits, the first three the status (503020 apart).
pub(crate) fn gateway_error(status: StatusCode, code: &str, message: &str) -> Reply {
    Reply::json(status, &json!({"error_code": code, "message": message}))
}

/// The Catalog's error.
pub(crate) fn catalog_error(status: StatusCode, detail: &str) -> Reply {
    let title = match status {
        StatusCode::NOT_FOUND => "NotFoundError",
        StatusCode::PRECONDITION_FAILED => "PreconditionFailedError",
        _ => "BadRequestError",
    };
    let body = json!({
        "type": "/placeholder/type/uri",
        "status": status.as_u16(),
        "title": title,
        "detail": detail,
    });
    Reply::json(status, &body)
}

/// The error of the Segmentation and Profile services; `code` may disagree with the status.
pub(crate) fn profile_error(
    request_id: &str,
    status: StatusCode,
    code: &str,
    title: &str,
    messages: &[String],
) -> Reply {
    let number = status.as_u16();
    let messages: Vec<Value> = messages
        .iter()
        .map(|message| json!({"code": number, "message": message}))
        .collect();
    let body = json!({
        "requestId": request_id,
        "errors": {number.to_string(): messages},
        "type": format!("https://ns.adobe.com/aep/errors/{code}"),
        "title": title,
        "status": number,
    });
    Reply::json(status, &body)
}

/// IMS's error: always 400, also where the client is not known.
pub(crate) fn ims_error(error: &str, description: &str) -> Reply {
    let body = json!({"error": error, "error_description": description});
    Reply::json(StatusCode::BAD_REQUEST, &body)
}

/// A map whose keys keep their order on the wire, as the Catalog's lists do.
#[derive(Debug)]
pub(crate) struct Ordered<T>(pub(crate) Vec<(String, T)>);

impl<T: Serialize> Serialize for Ordered<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}
