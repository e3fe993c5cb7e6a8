//! What the CDN answers: large files, to whoever has a link that still works.

use super::answer::Answer;
use super::files::{Source, part_of};
use super::record::Stage;
use super::request::Head;
use super::routes::{Routed, nothing};
use super::shared::Shared;

/// Answers a request.
pub(super) fn answer(shared: &Shared, head: &Head) -> Routed {
    let found = head
        .query("Signature")
        .and_then(|signature| usize::from_str_radix(&signature, 16).ok())
        .and_then(|number| Some((number, shared.state().links.get(number).cloned()?)))
        .and_then(|(number, link)| {
            let etag = link.file.large.as_ref()?;
            (head.parts().last() == Some(&etag.sha256))
                .then(|| (number, format!("\"{}\"", etag.cdn_etag), link.clone()))
        });
    let Some((number, etag, link)) = found else {
        return nothing(denied("InvalidKey", "Unknown Key"));
    };
    if link.is_expired(shared.settings.link_lifetime) {
        return Routed {
            stage: Stage::Content,
            file: Some(link.path),
            answer: denied("AccessDenied", "Request has expired"),
            source: None,
            link: Some(number),
        };
    }
    let disposition = head.query("response-content-disposition");
    let source = Source {
        content: link.file.content.clone(),
        etag,
        headers: vec![
            (
                "Content-Disposition",
                disposition.unwrap_or_default().replace('+', " "),
            ),
            ("Cache-Control", "public, max-age=31536000".to_owned()),
            ("X-Cache", "Hit from cloudfront".to_owned()),
        ],
    };
    Routed {
        stage: Stage::Content,
        file: Some(link.path),
        answer: part_of(&source, head),
        source: Some(source),
        link: Some(number),
    }
}

/// A refusal as the CDN writes it.
pub(super) fn denied(code: &str, message: &str) -> Answer {
    Answer::page(
        403,
        &format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        ),
    )
    .with("X-Cache", "Error from cloudfront")
}
