from sr_jax.kernels.gpu.compile_check import Report, describe, find_faults


def test_faults_are_named():
    report = Report('forward', 80, 255, 3, 200_000, 0, 8)
    assert find_faults(report, tensor_cores=True) == [
        'no tensor cores',
        '3 registers spilled',
        '200000 bytes of shared memory',
    ]
    assert find_faults(report._replace(shared=0), tensor_cores=False, max_spills=3) == []
    small = report._replace(spills=0, shared=120_000)
    assert find_faults(small, tensor_cores=False) == []
    assert find_faults(small._replace(capability=89), tensor_cores=False) == [
        '120000 bytes of shared memory'
    ]


def test_a_report_is_one_line():
    line = describe(Report('forward', 80, 255, 3, 200_000, 12, 8))
    assert line.startswith('forward  sm_80 255 registers, 3 spilled, 200000 bytes shared')
    assert '\n' not in line
