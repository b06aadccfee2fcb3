//! What Responses have beyond requests and answers: conversations that go on from an earlier answer
//! (`previous_response_id`), and frames over WebSocket.

pub use crate::openai_responses::chain::{AnswerItems, expand, input_items, is_stored};
pub use crate::openai_responses::frames::{
    ClientFrame, Create, error_frame, event_frame, read_frame, warm_up,
};
