"""Engine: the step loop, the process it runs in, and the faces callers see."""
