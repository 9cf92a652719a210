-- Schedules that share a name are now named in addresses by characters that need no escaping (src/model/schedule.rs): pauses stay.
UPDATE schedule_pauses
SET name = substr(name, 1, instr(name, '|') - 1)
    || replace(replace(replace(replace(replace(replace(replace(replace(
        substr(name, instr(name, '|')), '|', '~'), ' ', '_'), '*', 'x'), '?', 'x'), '/', '.'), ',', '--'), '#', 'n'), '+', 'p')
WHERE instr(name, '|') > 0;
