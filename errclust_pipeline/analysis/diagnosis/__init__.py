"""Why responses are wrong: a sample of errors, each diagnosed by a language model."""

from errclust_pipeline.analysis.diagnosis.diagnosis import (
    Diagnosis,
    DiagnosisCase,
    diagnosis_prompt,
    diagnosis_text,
)
from errclust_pipeline.analysis.diagnosis.sampling import Sample, stratified_sample

__all__ = [
    "Diagnosis",
    "DiagnosisCase",
    "Sample",
    "diagnosis_prompt",
    "diagnosis_text",
    "stratified_sample",
]
