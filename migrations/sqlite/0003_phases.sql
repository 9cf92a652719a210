-- What a phase has given to later ones, by the last of its tries: JSON, an object of names and values. The frames tell it too.
ALTER TABLE phases ADD COLUMN outputs TEXT;
