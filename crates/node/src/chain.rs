//! Runs a chain of the manifest: a graph of steps, each of which calls a function.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use host::bindings::{Call, CallError, Payload, Siblings};
use image::{Chain, Retry, Step};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::task::coop::consume_budget;
use tokio::time::timeout_at;

use crate::execution::{Execution, StepState};
use crate::limits::{FAN_OUT_CALLS_MAX, FAN_OUT_MAX};

/// What came of a step: its result, or nothing where it was skipped.
type Done = Option<Payload>;

/// Runs `chain` on `input` until its last steps have ended, or the first has failed for good.
///
/// The result is that of the step that no other waits for; where there are several, the list of theirs.
pub(crate) async fn run(
    chain: Arc<Chain>,
    siblings: Arc<dyn Siblings>,
    call: Call,
    input: Payload,
    execution: Arc<Execution>,
) -> Result<Payload, CallError> {
    let count = chain.steps.len();
    let inputs: Vec<Vec<usize>> = (0..count).map(|index| chain.inputs(index)).collect();
    let mut done: Vec<Option<Done>> = vec![None; count];
    let mut begun = vec![false; count];
    let mut ready: Vec<(usize, Payload)> = Vec::new();
    let mut running: JoinSet<(usize, Result<Done, CallError>)> = JoinSet::new();
    loop {
        let mut skipped = false;
        for index in 0..count {
            if begun[index] || !inputs[index].iter().all(|input| done[*input].is_some()) {
                continue;
            }
            begun[index] = true;
            match given(&inputs[index], &done, &input)? {
                Some(given) => ready.push((index, given)),
                None => {
                    execution.step(index, StepState::Skipped);
                    done[index] = Some(None);
                    skipped = true;
                }
            }
        }
        // A step that was skipped may have been all that another waited for.
        if skipped {
            continue;
        }
        // A step beside which no other runs needs no task: to begin one may wake another thread.
        if running.is_empty() && ready.len() == 1 {
            let (index, given) = ready.remove(0);
            let step = &chain.steps[index];
            let result = run_step(step, index, siblings.as_ref(), call, given, &execution).await;
            done[index] = Some(result?);
            consume_budget().await;
            continue;
        }
        for (index, given) in ready.drain(..) {
            let (chain, siblings) = (Arc::clone(&chain), Arc::clone(&siblings));
            let execution = Arc::clone(&execution);
            running.spawn(async move {
                let step = &chain.steps[index];
                (index, run_step(step, index, siblings.as_ref(), call, given, &execution).await)
            });
        }
        match running.join_next().await {
            Some(Ok((index, result))) => done[index] = Some(result?),
            Some(Err(_)) => return Err(CallError::Trapped("a step ended without a result".to_owned())),
            None => break,
        }
    }
    let last = (0..count).filter(|index| !inputs.iter().any(|inputs| inputs.contains(index)));
    let mut results: Vec<Payload> = last.filter_map(|index| done[index].take().flatten()).collect();
    match results.len() {
        1 => Ok(results.remove(0)),
        _ => list(results),
    }
}

/// What a step is given: what came of the steps before it, as one value or as a list. `None` where all were skipped.
fn given(inputs: &[usize], done: &[Option<Done>], input: &Payload) -> Result<Done, CallError> {
    if inputs.is_empty() {
        return Ok(Some(input.clone()));
    }
    let results: Vec<Payload> = inputs.iter().filter_map(|input| done[*input].clone().flatten()).collect();
    match (inputs.len(), results.len()) {
        (_, 0) => Ok(None),
        (1, _) => Ok(results.into_iter().next()),
        _ => list(results).map(Some),
    }
}

async fn run_step(
    step: &Step,
    index: usize,
    siblings: &dyn Siblings,
    call: Call,
    input: Payload,
    execution: &Execution,
) -> Result<Done, CallError> {
    if let Some(when) = &step.when {
        let value = json(&input)?;
        if value.pointer(&when.path) != Some(&scalar(&when.equals)) {
            execution.step(index, StepState::Skipped);
            return Ok(None);
        }
    }
    execution.step(index, StepState::Running);
    let result = match *step.each {
        false => attempts(step, index, siblings, call, input, execution).await,
        true => fan_out(step, index, siblings, call, input, execution).await,
    };
    execution.step(index, if result.is_ok() { StepState::Done } else { StepState::Failed });
    if let Err(error) = &result {
        execution.error(index, &error.to_string());
    }
    result.map(Some)
}

/// Calls the function once for each element of a list, some at once: a list must not fill the queue of the function.
async fn fan_out(
    step: &Step,
    index: usize,
    siblings: &dyn Siblings,
    call: Call,
    input: Payload,
    execution: &Execution,
) -> Result<Payload, CallError> {
    let Value::Array(elements) = json(&input)? else {
        return Err(CallError::Failed(format!(
            "step `{}` has `each`, but its input is not a JSON list",
            *step.name
        )));
    };
    if elements.len() > FAN_OUT_MAX {
        return Err(CallError::Failed(format!("step `{}` has more than {FAN_OUT_MAX} elements", *step.name)));
    }
    let calls = elements
        .into_iter()
        .map(|element| attempts(step, index, siblings, call, Payload::Json(element.to_string()), execution));
    let calling = stream::iter(calls).buffered(FAN_OUT_CALLS_MAX);
    list(calling.try_collect().await?)
}

/// Calls the function until it succeeds, or has failed as often as it may.
async fn attempts(
    step: &Step,
    index: usize,
    siblings: &dyn Siblings,
    call: Call,
    input: Payload,
    execution: &Execution,
) -> Result<Payload, CallError> {
    let (attempts, mut delay, factor) = match &step.retry {
        None => (1, Duration::ZERO, 1.0),
        Some(Retry { attempts, delay, factor }) => (**attempts, delay.0, **factor),
    };
    let mut attempt = 1;
    loop {
        execution.attempt(index);
        let until = step.timeout.as_ref().map(|timeout| Instant::now() + timeout.0);
        let deadline = until.map_or(call.deadline, |until| until.min(call.deadline));
        let calling = siblings.call(&step.call, Call { deadline, ..call }, input.clone());
        let result = timeout_at(deadline.into(), calling).await.unwrap_or(Err(CallError::Late));
        match result {
            Err(error) if attempt < attempts && error != CallError::Denied => {
                let again = Instant::now() + delay;
                if again >= call.deadline {
                    return Err(error);
                }
                tokio::time::sleep_until(again.into()).await;
                delay = delay.mul_f64(factor);
                attempt += 1;
            }
            result => return result,
        }
    }
}

fn json(payload: &Payload) -> Result<Value, CallError> {
    match payload {
        Payload::Json(text) => {
            serde_json::from_str(text).map_err(|error| CallError::Failed(format!("not JSON: {error}")))
        }
        Payload::Text(text) => Ok(Value::String(text.clone())),
        Payload::Bytes(_) => Err(CallError::Failed("bytes are no JSON".to_owned())),
    }
}

fn list(payloads: Vec<Payload>) -> Result<Payload, CallError> {
    let values = payloads.iter().map(json).collect::<Result<Vec<_>, _>>()?;
    Ok(Payload::Json(Value::Array(values).to_string()))
}

fn scalar(scalar: &image::Scalar) -> Value {
    match scalar {
        image::Scalar::Boolean(value) => Value::from(*value),
        image::Scalar::Integer(value) => Value::from(*value),
        image::Scalar::Float(value) => Value::from(*value),
        image::Scalar::String(value) => Value::from(value.as_str()),
    }
}
