-- Values that phases give to later ones: found without reading the lines in between.
CREATE INDEX frames_outputs ON frames (run, seq) WHERE kind = 'output';
