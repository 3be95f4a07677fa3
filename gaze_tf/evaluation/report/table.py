"""The table with which a report opens: what was measured, what was reached, in what unit."""

HEADER = 'what', 'mean', 'median', 'worst tenth from', 'unit'
_KINDS = {
    'l1': ('L1', 'grey levels', 2),
    'psnr': ('PSNR', 'dB', 2),
    'ssim': ('SSIM', '', 3),
    'ms_ssim': ('MS-SSIM', '', 3),
    'lpips': ('LPIPS', '', 3),
}
_PLACES = {'boxes': 'in the eye boxes', 'eyes': 'of the eyes', 'image': 'of the whole image'}


def lines(report):
    """The headline results of a report, rows of five texts as HEADER has them; single numbers are in the second."""
    results, found = report['results'], []
    if 'gaze' in results:
        found += _gaze(results['gaze'], report['estimator']['own_error']['mean'])
    if 'animation' in results:
        found += _animation(results['animation'], report['estimator']['own_error']['mean'])
    if 'iris_offset' in results:
        found += _offset(results['iris_offset'])
    if 'calibrated' in results:
        found += _calibrated(results['calibrated'])
    if 'animation_by_offset' in results:
        found += _animation_by_offset(results['animation_by_offset'])
    found += _identity(results['identity'])
    if 'twin' in results:
        found += [
            _three(
                f'{what} to the picture at the camera: L1 in the eye boxes',
                results['twin'][f'l1_{name}'],
                'grey levels',
            )
            for name, what in (('twin', 'corrected Y'), ('twin_untouched', 'untouched Y'))
        ]
    for domain, what in (('x', 'held-out X, corrected'), ('y', 'held-out Y, animated with alpha 0')):
        found += _reconstruction(results['reconstruction'][domain], what)
    found += _sharpness(results['sharpness'])
    for name, block in results.get('conditions', {}).items():
        found += _condition(name, block, results)
    found += _distribution(results.get('distribution', {}))
    contained, machine, size = results['containment'], report['machine'], report['model']['size']
    return found + [
        _one(
            'pixels changed outside the eye boxes', f'{contained["changed_outside"]}', f'{contained["outputs"]} outputs'
        ),
        _one(
            'correction of one face',
            number(1000 * machine['speed']['correct_one'], 1),
            f'ms on {machine["cores"]} cores',
        ),
        _one('size of the model', number(size['bytes'] / 1e6, 1), f'MB, {size["parameters"]:,} parameters'),
    ]


def text(report):
    """The table and what was not computed, for a terminal."""
    rows = [HEADER, *lines(report)]
    widths = [max(len(row[k]) for row in rows) for k in range(4)]
    found = [
        '  '.join(
            [f'{row[0]:{widths[0]}}', *(f'{cell:>{width}}' for cell, width in zip(row[1:4], widths[1:])), row[4]]
        ).rstrip()
        for row in rows
    ]
    return '\n'.join(found + [f'{line["what"]}: not computed; {line["why"]}.' for line in report['not_computed']])


def number(value, digits=2):
    return '—' if value is None else f'{value:.{digits}f}'


def share(value):
    """In percent."""
    return '—' if value is None else f'{100 * value:.1f}'


def tail(values):
    """Of `summary.stats`, the end of the worse tenth."""
    return values['p90'] if 'p90' in values else values['p10']


def _one(what, reached, unit=''):
    return what, reached, '', '', unit


def _three(what, values, unit='', digits=2):
    return (what, *(number(value, digits) for value in (values['mean'], values['median'], tail(values))), unit)


def _gaze(block, own):
    found = [_three('true angle to the camera', block['true'], 'degrees')]
    for name, what in (
        ('before', 'before correction'),
        ('after', 'after correction'),
        ('twin', 'of the picture at the camera'),
    ):
        found.append(
            _three(f'estimated angle {what}', block[name], f'degrees (the estimator errs by {number(own, 1)})')
        )
    return found + [
        _three("the estimator's own error on these inputs", block['estimator_error_input'], 'degrees'),
        _one('mean after / mean before', number(block['ratio'], 3)),
        _one('angle smaller than before', share(block['smaller']), '% of the faces'),
    ]


def _animation(block, own):
    found = [_three('rank correlation of alpha and gaze, alpha 0 to 1', block['rank_correlation'], digits=3)]
    for name, what in (('within', '0 to 1'), ('beyond', 'beyond')):
        found.append(
            _three(
                f'between achieved and intended gaze, alpha {what}',
                block[f'error_{name}_0_1'],
                f'degrees (the estimator errs by {number(own, 1)})',
            )
        )
    return found


def _offset(block):
    found = [
        _three(f'iris offset {what}', block[name], 'eye widths', 3)
        for name, what in (
            ('before', 'before correction'),
            ('after', 'after correction'),
            ('along_before', 'along the eyes before'),
            ('along_after', 'along the eyes after'),
            ('at_camera', 'of X, who look at the camera'),
            ('at_camera_moved', 'of X, moved by correction'),
            ('at_camera_moved_along', 'of X, moved along the eyes'),
        )
    ]
    faces = f'% of {block["before"]["faces"]} faces; {block["not_found"]} not found'
    found += [
        _one('iris offset smaller than before', share(block['smaller']), faces),
        _one('iris offset along the eyes smaller than before', share(block['smaller_along']), faces),
    ]
    if 'along_to_twin' in block:
        what, own = "iris offset along the eyes less the twin's", block['along_to_twin']
        found += [
            _three(f'{what}, {when}', own[when], 'eye widths (head turn taken out)', 3) for when in ('before', 'after')
        ]
        found.append(_one(f'{what}, smaller', share(own['smaller']), f'% of {own["before"]["faces"]} faces'))
    return found + [_three('iris colour of X, corrected to input', block['at_camera_iris_de'], 'ΔE (CIEDE2000)')]


def _calibrated(block):
    return [
        *(
            _one(f'iris offset {axis} for a sine of 1', number(fit['slope'], 3), f'eye widths; R² {number(fit["r2"])}')
            for axis, fit in block['fits'].items()
        ),
        _three('true degrees to the camera, sqrt(yaw² + pitch²)', block['true'], 'degrees'),
        *(_three(f'degrees by iris offset {when} correction', block[when], 'degrees') for when in ('before', 'after')),
        _one(
            'degrees by iris offset smaller than before',
            share(block['smaller']),
            f'% of {block["before"]["faces"]} faces',
        ),
    ]


def _animation_by_offset(block):
    return [
        _three('rank correlation of alpha and iris offset, alpha 0 to 1', block['rank_correlation'], digits=3),
        _three("iris offset of the animation with alpha 0 to the input's", block['alpha_0'], 'eye widths', 3),
    ]


def _sharpness(block):
    names = (
        ('x', 'corrected X to input'),
        ('y', 'corrected Y to input'),
        ('y_to_twin', 'corrected Y to picture at the camera'),
    )
    return [_three(f'sharpness of the eyes, {what}', block[name], 'times') for name, what in names if name in block]


def _condition(name, block, results):
    """Of one condition, beside what the same faces have without it."""
    within = share(results['sharpness']['y']['within'])
    found = [
        _three(
            f'{name}: sharpness of the eyes, corrected to input',
            block['sharpness'],
            f'times; sharp enough: {share(block["sharpness"]["within"])} % of the faces (else {within})',
        )
    ]
    if 'offset_along_after' in block:
        found.append(
            _three(
                f'{name}: iris offset along the eyes after correction',
                block['offset_along_after'],
                f'eye widths; {number(block["offset_along_ratio"])} times as much as else',
                3,
            )
        )
    if 'psnr_twin' in block:
        found.append(
            _three(
                f'{name}: PSNR in the eye boxes to the picture at the camera',
                block['psnr_twin'],
                f'dB (else {number(results["twin"]["psnr_twin"]["mean"])})',
            )
        )
    if 'tinted' in block:
        found.append(
            _one(
                f'{name}: most colour gained',
                number(block['chroma_max'], 0),
                f'levels; tinted: {share(block["tinted"])} % of the faces',
            )
        )
    return found


def _identity(block):
    names = (
        ('iris_de', 'iris colour, corrected to input', 'ΔE (CIEDE2000)'),
        ('iris_de_floor', 'iris colour, picture at the camera to input', 'ΔE'),
        ('iris_de_twin', 'iris colour, corrected to picture at the camera', 'ΔE'),
        ('skin_de', 'skin colour, corrected to input', 'ΔE'),
    )
    found = [_three(what, block[name], unit) for name, what, unit in names if name in block]
    if 'content_distance' in block:
        others = number(block['content_distance_of_different_people'], 3)
        found.append(
            _three('content codes, corrected to input', block['content_distance'], f'(different people: {others})', 3)
        )
    return found


def _reconstruction(block, what):
    found = []
    for name, values in block.items():
        kind, _, place = name.rpartition('_')
        if (place != 'image' or kind == 'lpips') and values['faces']:
            title, unit, digits = _KINDS[kind]
            found.append(_three(f'{what}: {title} {_PLACES[place]}', values, unit, digits))
    return found


def _distribution(block):
    found = []
    for name, values in block.items():
        kind, which = name.split('_')
        pictures = '{} and {} pictures'.format(*values['pictures'])
        found.append(_one(f'FID of {which} Y to X, {kind}', number(values['fid'], 1), pictures))
        found.append(
            _one(f'KID of {which} Y to X, {kind}', number(values['kid'], 4), f'± {number(values["kid_std"], 4)}')
        )
    return found
