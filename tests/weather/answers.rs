//! Answers in both shapes, as captured and as made up, decoded.

use std::fs;

use jiff::civil::{Date, date};

use crate::{
    captured,
    day::Day,
    decode::{Api, DecodeError, Page, decode},
    within,
};

const V1: &str = r#"{"metadata":{"stations":[
    {"id":"A1","device_id":"A1","name":"Upper \"East\" Hill","location":{"latitude":1.25,"longitude":103.8}},
    {"id":"B2","device_id":"B2","name":"Pier","location":{"latitude":1.5,"longitude":103.9}},
    {"id":"Z9","device_id":"Z9","name":"Always silent","location":{"latitude":1.6,"longitude":103.7}}],
    "reading_type":"DBT 1M F","reading_unit":"deg C"},
    "items":[
    {"timestamp":"2017-03-23T00:00:59+08:00","readings":[{"station_id":"A1","value":29},{"station_id":"B2","value":28.7}]},
    {"timestamp":"2017-03-23T00:01:59+08:00","readings":[{"station_id":"B2","value":28.5}]},
    {},
    {"timestamp":"2017-03-23T23:59:59+08:00","readings":[{"station_id":"C3","value":30.1},{"station_id":"A1","value":29.2}]}],
    "api_info":{"status":"healthy"}}"#;

const V2: &str = r#"{"code":0,"data":{"stations":[
    {"id":"A1","deviceId":"A1","name":"Hill","location":{"latitude":1.25,"longitude":103.8}}],
    "readings":[
    {"timestamp":"2026-01-28T00:01:00+08:00","data":[{"stationId":"A1","value":26.5}]},
    {"timestamp":"2026-01-28T00:00:00+08:00","data":[{"stationId":"A1","value":26}]}],
    "readingType":"DBT 1M F","readingUnit":"deg C","paginationToken":"b2Zmc2V0PTI="},"errorMsg":""}"#;

const V1_DAY: Date = date(2017, 3, 23);
const V2_DAY: Date = date(2026, 1, 28);

fn page(api: Api, date: Date, json: &str) -> Page {
    decode(api, date, json.as_bytes()).expect("a good answer")
}

fn ids(day: &Day) -> Vec<&str> {
    day.stations.iter().map(|station| station.id.as_str()).collect()
}

#[test]
fn a_v1_answer_becomes_a_table() {
    within(10, || {
        let Page { day, next } = page(Api::V1, V1_DAY, V1);
        assert_eq!(next, None);
        assert_eq!(ids(&day), ["A1", "B2", "C3"]);
        assert_eq!(day.stations[0].name, "Upper \"East\" Hill");
        assert_eq!((day.stations[1].latitude, day.stations[1].longitude), (1.5, 103.9));
        let times: Vec<_> = day.times.iter().map(ToString::to_string).collect();
        assert_eq!(times, ["2017-03-23T00:00:59", "2017-03-23T00:01:59", "2017-03-23T23:59:59"]);
        assert_eq!(day.readings(), 5);
        // What was silent is null, in the place of the station that came in last too.
        let json = serde_json::to_value(&day).expect("a day is JSON");
        let silent = serde_json::Value::Null;
        let near =
            |value: &serde_json::Value, celsius: f64| (value.as_f64().unwrap_or(0.0) - celsius).abs() < 1e-5;
        let values = &json["values"];
        assert!(near(&values[0][0], 29.0) && near(&values[0][1], 28.7) && values[0][2] == silent, "{values}");
        assert!(values[1][0] == silent && near(&values[1][1], 28.5) && values[1][2] == silent, "{values}");
        assert!(near(&values[2][0], 29.2) && values[2][1] == silent && near(&values[2][2], 30.1), "{values}");
    });
}

#[test]
fn a_v2_page_names_the_next() {
    within(10, || {
        let Page { mut day, next } = page(Api::V2, V2_DAY, V2);
        assert_eq!(next.as_deref(), Some("b2Zmc2V0PTI="));
        day.sort();
        assert_eq!(day.times[0].to_string(), "2026-01-28T00:00:00");
        assert_eq!(day.rows().map(<[f32]>::to_vec).collect::<Vec<_>>(), [[26.0], [26.5]]);
        let last = V2.replace("\"b2Zmc2V0PTI=\"", "\"\"");
        assert_eq!(page(Api::V2, V2_DAY, &last).next, None);
        let last = V2.replace(r#","paginationToken":"b2Zmc2V0PTI=""#, "");
        assert_eq!(page(Api::V2, V2_DAY, &last).next, None);
    });
}

#[test]
fn an_answer_without_readings_is_an_error() {
    within(10, || {
        let healthy = |items: &str| {
            format!(r#"{{"metadata":{{"stations":[]}},"items":{items},"api_info":{{"status":"healthy"}}}}"#)
        };
        for items in ["[]", "[{}]", r#"[{"timestamp":"2017-03-23T00:00:00+08:00","readings":[]}]"#] {
            let error = decode(Api::V1, V1_DAY, healthy(items).as_bytes()).expect_err(items);
            assert!(matches!(error, DecodeError::Empty), "{items}: {error:?}");
        }
        let v2 = r#"{"code":0,"data":{"stations":[],"readings":[]},"errorMsg":""}"#;
        assert!(matches!(decode(Api::V2, V2_DAY, v2.as_bytes()), Err(DecodeError::Empty)));
    });
}

#[test]
fn a_wrong_answer_says_what_is_wrong() {
    within(10, || {
        let sick = V1.replace("healthy", "degraded");
        let error = decode(Api::V1, V1_DAY, sick.as_bytes()).expect_err("sick");
        assert!(error.to_string().contains("degraded"), "{error}");
        let error = decode(Api::V1, date(2017, 3, 24), V1.as_bytes()).expect_err("another day");
        assert!(error.to_string().contains("2017-03-23"), "{error}");
        let error = decode(Api::V1, V1_DAY, &V1.as_bytes()[..V1.len() / 2]).expect_err("half");
        assert!(matches!(error, DecodeError::Malformed(ref error) if error.is_eof()), "{error:?}");
        // A word in the place of a number costs that reading, and is told.
        let Page { day, .. } = page(Api::V1, V1_DAY, &V1.replace("28.7", "\"hot\""));
        assert_eq!((day.readings(), day.times.len()), (4, 3));
        let lines = day.notes.lines().join("; ");
        assert!(lines.contains("1 reading dropped") && lines.contains("hot"), "{lines}");
    });
}

/// What of a day is kept when a part of it can't be used: rows, readings, and what is told.
fn kept(json: &str) -> (usize, usize, String) {
    let Page { mut day, .. } = page(Api::V1, V1_DAY, json);
    day.sort();
    (day.times.len(), day.readings(), day.notes.lines().join("; "))
}

#[test]
fn a_day_is_lost_only_for_what_makes_it_worthless() {
    within(10, || {
        assert_eq!(kept(V1), (3, 5, String::new()));
        let one_place = r#"{"latitude":1.25,"longitude":103.8}"#;
        // (in the place of, this), rows, readings, and words of what is told.
        for (from, to, rows, readings, told) in [
            ("28.7", "null", 3, 4, "1 reading dropped (null is no temperature)"),
            ("28.7", "[]", 3, 4, "1 reading dropped (a list is no temperature)"),
            ("28.7", "1e300", 3, 4, "no temperature"),
            ("28.7", "1e999", 3, 4, "null is no temperature"),
            ("28.7", "NaN", 3, 4, "null is no temperature"),
            (r#","value":28.7"#, "", 3, 4, "1 reading dropped"),
            (r#"{"station_id":"B2","value":28.7}"#, "null", 3, 4, "1 reading dropped"),
            (
                r#""station_id":"B2","value":28.7"#,
                r#""station_id":null,"value":28.7"#,
                3,
                4,
                "null is no station",
            ),
            (
                r#""station_id":"B2","value":28.5"#,
                r#""station_id":"B2","value":null"#,
                2,
                4,
                "1 reading dropped",
            ),
            (one_place, "null", 3, 5, ""),
            (one_place, r#"{"latitude":null}"#, 3, 5, ""),
            (r#""name":"Pier""#, r#""name":null"#, 3, 5, ""),
            (r#""name":"Pier""#, r#""name":"\ud800""#, 3, 5, ""),
            (r#""name":"Pier""#, r#""name":"One","name":"Pier""#, 3, 5, ""),
            (r#""api_info":{"status":"healthy"}"#, r#""api_info":null"#, 3, 5, ""),
            (
                "2017-03-23T00:01:59+08:00",
                "2017-03-24T00:00:00+08:00",
                2,
                4,
                "1 row dropped (of 2017-03-24T00:00:00)",
            ),
            ("2017-03-23T00:01:59+08:00", "2017-03-23T24:00:00+08:00", 2, 4, "1 row dropped"),
            ("2017-03-23T00:01:59+08:00", "soon", 2, 4, r#"1 row dropped ("soon" is no time)"#),
            (r#""2017-03-23T00:01:59+08:00""#, "null", 2, 4, "null is no time"),
            (r#""timestamp":"2017-03-23T00:01:59+08:00","#, "", 2, 4, "null is no time"),
            ("{},", "null,", 3, 5, "1 row dropped"),
            ("{},", "7,", 3, 5, "1 row dropped"),
            // Twice the same time: one row, and what either has.
            ("2017-03-23T00:01:59+08:00", "2017-03-23T00:00:59+08:00", 2, 4, "1 row came twice"),
            ("2017-03-23T00:01:59+08:00", "2017-03-22T16:00:59Z", 2, 4, "1 row came twice"),
        ] {
            let json = V1.replacen(from, to, 1);
            assert_ne!(json, V1, "{from} is not there");
            let (found_rows, found_readings, found) = kept(&json);
            assert_eq!((found_rows, found_readings), (rows, readings), "{from} became {to}: {found}");
            assert!(
                found.contains(told) && found.is_empty() == told.is_empty(),
                "{from} became {to}: {found}"
            );
        }
        // Bytes that are no text, in a name.
        let mut bytes = V1.as_bytes().to_vec();
        let at = V1.find("Pier").expect("a name");
        bytes[at] = 0xFF;
        assert_eq!(decode(Api::V1, V1_DAY, &bytes).expect("a good day").day.readings(), 5);
    });
}

#[test]
fn offsets_are_read_and_not_taken_for_singapores() {
    within(10, || {
        let times = |stamps: [&str; 3]| {
            let json = V1
                .replace("2017-03-23T00:00:59+08:00", stamps[0])
                .replace("2017-03-23T00:01:59+08:00", stamps[1])
                .replace("2017-03-23T23:59:59+08:00", stamps[2]);
            let Page { mut day, .. } = page(Api::V1, V1_DAY, &json);
            day.sort();
            day.times.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let expected = ["2017-03-23T00:00:59", "2017-03-23T00:01:59", "2017-03-23T23:59:59"];
        for stamps in [
            ["2017-03-22T16:00:59Z", "2017-03-22T16:01:59+00:00", "2017-03-23T15:59:59-00:00"],
            ["2017-03-22T16:00:59.000Z", "2017-03-23T01:01:59+09:00", "2017-03-23T21:29:59+05:30"],
            ["2017-03-23T00:00:59+08:00[Asia/Singapore]", "2017-03-23T00:01:59", "2017-03-23 23:59:59+0800"],
        ] {
            assert_eq!(times(stamps), expected, "{stamps:?}");
        }
        // In UTC the last row is of the next day.
        assert_eq!(times(["2017-03-22T16:00:59Z", "2017-03-22T16:01:59Z", "2017-03-23T23:59:59Z"]).len(), 2);
    });
}

/// seanmonstar/reqwest#426 and serde-rs/json#1115: a byte order mark before the JSON.
#[test]
fn what_is_no_json_is_named_and_a_byte_order_mark_is_read_over() {
    within(10, || {
        let with_mark = [b"\xEF\xBB\xBF", V1.as_bytes()].concat();
        assert_eq!(decode(Api::V1, V1_DAY, &with_mark).expect("a good day").day.readings(), 5);
        for (body, told) in [
            (
                "<!DOCTYPE html>\n<html><head><title>502 Bad\n Gateway</title>",
                "an HTML page, not JSON: \"502 Bad Gateway\"",
            ),
            ("  <HTML><body>", "an HTML page, not JSON"),
            ("<html><title>\u{1b}[2J</title>", "\\u{1b}[2J"),
            ("Service \u{1b}]0;x\u{7} unavailable", "it begins with \"Service"),
            ("<?xml version=\"1.0\"?>", "isn't JSON"),
            ("[]", "isn't JSON"),
            ("", "the answer is empty"),
            ("\u{feff}", "the answer is empty"),
        ] {
            let error = decode(Api::V1, V1_DAY, body.as_bytes()).expect_err(body).to_string();
            assert!(error.contains(told) && !error.contains("line 1 column 1"), "{body}: {error}");
            assert!(!error.contains(char::is_control), "{body:?}: {error:?}");
        }
    });
}

#[test]
fn captured_answers_are_understood() {
    within(30, || {
        let Some(folder) = captured() else { return };
        let read = |name: &str| fs::read(folder.join(name)).expect(name);
        let v1 = read("v1_air-temperature_latest_2023-08-08.json");
        let Page { day, .. } = decode(Api::V1, date(2023, 8, 8), &v1).expect("v1");
        assert_eq!(ids(&day)[..2], ["S109", "S117"]);
        assert_eq!(day.stations[0].name, "Ang Mo Kio Avenue 5");
        let v2 = read("v2_air-temperature_latest_2026-01-28.json");
        let Page { day, next } = decode(Api::V2, V2_DAY, &v2).expect("v2");
        assert_eq!((day.times.len(), next), (1, None));
        assert!(day.readings() == 14 && day.rows().flatten().all(|v| v.is_nan() || (20.0..40.0).contains(v)));
        let errors: serde_json::Value = serde_json::from_slice(&read("v2_errors.json")).expect("errors");
        for error in errors.as_object().expect("by status").values() {
            let text =
                decode(Api::V2, V2_DAY, error.to_string().as_bytes()).expect_err("no data").to_string();
            assert!(text.contains(error["errorMsg"].as_str().expect("a text")), "{text}");
        }
    });
}
