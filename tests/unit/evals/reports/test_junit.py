"""JUnit XML: valid after the schema that tools expect, each trouble a case of its kind."""

from datetime import UTC, datetime
from typing import Any

import pytest
from lxml import etree

from evals import gate_junit, gate_run, run_junit
from tests.unit.evals.reports.parts import HOSTILE, outcome, record

# What Ant's JUnit task writes and Jenkins reads, in the order in which both want it.
SCHEMA = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" elementFormDefault="qualified">
  <xs:complexType name="found">
    <xs:simpleContent><xs:extension base="xs:string">
      <xs:attribute name="message" type="xs:string"/>
      <xs:attribute name="type" type="xs:string" use="required"/>
    </xs:extension></xs:simpleContent>
  </xs:complexType>
  <xs:simpleType name="name">
    <xs:restriction base="xs:token"><xs:minLength value="1"/></xs:restriction>
  </xs:simpleType>
  <xs:simpleType name="time">
    <xs:restriction base="xs:dateTime">
      <xs:pattern value="[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"/>
    </xs:restriction>
  </xs:simpleType>
  <xs:element name="testsuites"><xs:complexType><xs:sequence>
    <xs:element name="testsuite" minOccurs="0" maxOccurs="unbounded"><xs:complexType>
      <xs:sequence>
        <xs:element name="properties"><xs:complexType><xs:sequence>
          <xs:element name="property" minOccurs="0" maxOccurs="unbounded"><xs:complexType>
            <xs:attribute name="name" type="name" use="required"/>
            <xs:attribute name="value" type="xs:string" use="required"/>
          </xs:complexType></xs:element>
        </xs:sequence></xs:complexType></xs:element>
        <xs:element name="testcase" minOccurs="0" maxOccurs="unbounded"><xs:complexType>
          <xs:choice minOccurs="0">
            <xs:element name="skipped"><xs:complexType>
              <xs:attribute name="message" type="xs:string"/>
            </xs:complexType></xs:element>
            <xs:element name="error" type="found"/>
            <xs:element name="failure" type="found"/>
          </xs:choice>
          <xs:attribute name="name" type="name" use="required"/>
          <xs:attribute name="classname" type="name" use="required"/>
          <xs:attribute name="time" type="xs:decimal" use="required"/>
        </xs:complexType></xs:element>
        <xs:element name="system-out" type="xs:string"/>
        <xs:element name="system-err" type="xs:string"/>
      </xs:sequence>
      <xs:attribute name="name" type="name" use="required"/>
      <xs:attribute name="package" type="xs:token" use="required"/>
      <xs:attribute name="id" type="xs:int" use="required"/>
      <xs:attribute name="timestamp" type="time" use="required"/>
      <xs:attribute name="hostname" type="name" use="required"/>
      <xs:attribute name="tests" type="xs:int" use="required"/>
      <xs:attribute name="failures" type="xs:int" use="required"/>
      <xs:attribute name="errors" type="xs:int" use="required"/>
      <xs:attribute name="skipped" type="xs:int"/>
      <xs:attribute name="time" type="xs:decimal" use="required"/>
    </xs:complexType></xs:element>
  </xs:sequence></xs:complexType></xs:element>
</xs:schema>"""
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def read(text: str) -> Any:
    """The file's root, which is valid and counts right."""
    root = etree.fromstring(text.encode())
    etree.XMLSchema(etree.fromstring(SCHEMA)).assertValid(root)
    for suite in root:
        cases = suite.findall("testcase")
        assert int(suite.get("tests")) == len(cases)
        for name, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.get(name)) == len(suite.findall(f"testcase/{kind}"))
    return root


def test_samples_of_a_run_are_cases() -> None:
    outcomes = [
        outcome(0),
        outcome(1, right=None),
        outcome(2, failed="model_unavailable", text="away"),
        outcome(5, right=0.0),
    ]
    root = read(run_junit(record(outcomes, is_complete=False)))
    cases = {case.get("name"): case for case in root.iter("testcase")}
    assert len(cases["s0"]) == 0
    assert len(cases["s5"]) == 0, "a wrong answer is a low score, not a failure of the test"
    assert cases["s1"].find("skipped").get("message") == "right: dumb"
    error = cases["s2away"].find("error")
    assert (error.get("type"), error.get("message")) == ("model_unavailable", "away")
    assert cases["all samples are done"].find("error").get("message") == "2 samples are not done"
    properties = {one.get("name"): one.get("value") for one in root.iter("property")}
    assert properties["right"].startswith("50.0 % (")


def test_a_measure_without_any_value_is_skipped() -> None:
    root = read(run_junit(record([outcome(0, right=None)])))
    case = next(one for one in root.iter("testcase") if one.get("name") == "right")
    assert case.find("skipped").get("message") == "no sample has a value"


def test_repetitions_are_cases_of_their_own() -> None:
    root = read(run_junit(record([outcome(0), outcome(0, repeat=1)], repeats=2)))
    assert {"s0 (1)", "s0 (2)"} <= {one.get("name") for one in root.iter("testcase")}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_content_stays_inside(text: str) -> None:
    outcomes = [outcome(0, text=text), outcome(1, text=text * 1000, failed=text)]
    root = read(run_junit(record(outcomes, text=text, systems=(text,))))
    assert len(root) == 1
    assert max(len(name) for one in root.iter("testcase") for name in one.attrib.values()) < 3000


def test_a_regression_fails_and_what_is_as_good_passes() -> None:
    before = record([outcome(at) for at in range(40)], run="old")
    after = record([outcome(at, right=float(at < 20)) for at in range(40)])
    root = read(gate_junit(gate_run(before, after), NOW))
    cases = {case.get("name"): case for case in root.iter("testcase")}
    failure = cases["right"].find("failure")
    assert failure.get("type") == "regression"
    assert "100.0 % to 50.0 %" in failure.get("message")
    assert "s20: 1.0000 to 0.0000: question 20" in failure.text
    assert len(cases["ndcg@10"]) == 0


def test_what_the_candidate_lacks_fails() -> None:
    before = record([outcome(at) for at in range(9)], run="old")
    after = record([outcome(at) for at in range(8)], is_complete=False)
    root = read(gate_junit(gate_run(before, after), NOW))
    told = [found.get("message") for found in root.iter("failure")]
    assert "run run is not complete" in told
    assert any("1 samples only in the baseline" in one for one in told)
