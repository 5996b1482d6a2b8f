//! The message of a call, whole and readable before anybody acts on it: with the limits of a body over HTTP, and with problems that
//! say that it is the caller's message which is wrong.

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use prost::Message;
use service_kit::body::{UNSUPPORTED_ENCODING, whole};
use service_kit::{Problem, text};

/// What stands before a message: whether it is packed, and its length in four bytes.
const PREFIX_BYTES: usize = 5;

/// Hands a call on if its message is one `M`.
pub(super) async fn readable<M: Message + Default>(request: Request, next: Next) -> Response {
    match read::<M>(request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn read<M: Message + Default>(request: Request) -> Result<Request, Problem> {
    let (parts, bytes) = whole(request).await?;
    M::decode(only(&bytes)?).map_err(|error| {
        Problem::malformed(text!(
            en: "The message cannot be read: {error}.",
            ko: "메시지를 읽을 수 없습니다({error})."
        ))
    })?;
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

/// The one message in a body.
fn only(body: &Bytes) -> Result<&[u8], Problem> {
    let one = body.split_at_checked(PREFIX_BYTES).and_then(|(prefix, message)| match prefix {
        [packed, length @ ..] => {
            (length == u32::try_from(message.len()).ok()?.to_be_bytes()).then_some((*packed, message))
        }
        [] => None,
    });
    match one {
        Some((0, message)) => Ok(message),
        Some(_) => Err(UNSUPPORTED_ENCODING.because(text!(
            en: "Send the message unpacked, with the encoding identity.",
            ko: "메시지를 압축하지 말고 identity 로 보내십시오."
        ))),
        None => Err(Problem::malformed(text!(
            en: "A call brings one whole message.",
            ko: "호출 하나에는 온전한 메시지 하나가 있어야 합니다."
        ))),
    }
}
