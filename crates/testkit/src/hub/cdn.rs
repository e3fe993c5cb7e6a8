//! What the CDN answers: large files, to whoever has a link that still works.

use super::answer::Answer;
use super::files::part_of;
use super::record::Stage;
use super::request::Head;
use super::routes::Routed;
use super::shared::Shared;

/// Answers a request.
pub(super) fn answer(shared: &Shared, head: &Head) -> Routed {
    let link = head
        .query("Signature")
        .and_then(|signature| usize::from_str_radix(&signature, 16).ok())
        .and_then(|number| shared.state().links.get(number).cloned())
        .filter(|link| {
            let large = link.file.large.as_ref();
            large.is_some_and(|large| head.parts().last() == Some(&large.sha256))
        });
    let Some(link) = link else {
        return Routed {
            stage: Stage::Other,
            file: None,
            answer: denied("InvalidKey", "Unknown Key"),
        };
    };
    let answer = if link.is_expired(shared.settings.link_lifetime) {
        denied("AccessDenied", "Request has expired")
    } else {
        let large = link.file.large.as_ref();
        let etag = large.map_or_else(String::new, |large| format!("\"{}\"", large.cdn_etag));
        let disposition = head.query("response-content-disposition");
        part_of(&link.file.content, &etag, head)
            .with(
                "Content-Disposition",
                &disposition.unwrap_or_default().replace('+', " "),
            )
            .with("Cache-Control", "public, max-age=31536000")
            .with("X-Cache", "Hit from cloudfront")
    };
    Routed {
        stage: Stage::Content,
        file: Some(link.path),
        answer,
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
